"""The name of a message: when it was accepted, in microseconds, as a number that never repeats.

It is the key in the queue, the id in every log line, in the Received line and in the 250
answer.  As text it is lower-case base 32 without i, l, o and u: short, sortable, readable aloud.
"""

from functools import lru_cache

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]  # two letters a step: the hot path asks often
_END = 1 << 63  # what a database holds
_LONGEST = 19  # letters or digits of the largest
_DECIMAL = 14  # digits; an id of so many letters is ages away
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


def following(last: int, now: float) -> int:
    """The next id after `last` at time `now` (seconds since 1970): unique even if the clock steps back."""
    return max(last + 1, int(now * 1_000_000))


def born(message: int) -> float:
    """When the message was accepted, seconds since 1970."""
    return message / 1_000_000


def text(message: int) -> str:
    """The id as people see it, for example 1jzv3x0q8ma."""
    return (_beginning(message >> 20) + _PAIRS[message >> 10 & 1023] + _PAIRS[message & 1023]).lstrip("0") or "0"


@lru_cache(maxsize=64)
def _beginning(number: int) -> str:
    """All but the last four letters: they stay the same for a second."""
    pairs = []
    while number:
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    return "".join(reversed(pairs))


def parse(name: str) -> int:
    """The number behind the text, or behind its decimal form, which qmail's log has. Raises ValueError."""
    letters = name.strip().lower()
    if len(letters) > _LONGEST or not set(letters) <= set(ALPHABET):
        raise ValueError(f"{name[:40]!r} is not a message id (letters and digits such as 1jzv3x0q8ma)")
    number = 0
    if letters.isdecimal() and len(letters) >= _DECIMAL:
        number = int(letters)
    else:
        for letter in letters:
            number = number * 32 + _VALUES[letter]
    if number >= _END:
        raise ValueError(f"{name!r} is not a message id: the queue has none so large")
    if not number:
        raise ValueError("an empty message id")
    return number
