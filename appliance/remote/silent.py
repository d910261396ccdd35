"""Addresses that did not answer lately: each attempt costs a connection for as long as it lasts.

What qmail's tcpto table is for.  A refusal is an answer; only time-outs count.  Pure.
"""

from dataclasses import dataclass

FIRST = 60.0  # seconds an address is left alone after a time-out; doubled each time it happens again
LONGEST = 3600.0
KEPT = 1000  # addresses

Key = tuple[str, int]


@dataclass(slots=True)
class Silence:
    """What is known of an address: time-outs in a row, when the last one was, until when it is left alone."""

    count: int
    last: float
    until: float


class Silent:
    """Addresses that are left alone.

    changed: since `changed` was last set to False
    """

    def __init__(self) -> None:
        self.known: dict[Key, Silence] = {}
        self.changed = False

    def timed_out(self, address: Key, now: float) -> None:
        """An attempt to connect got no answer."""
        before = self.known.pop(address, None)
        count = 1 if before is None else before.count + (now >= before.until)  # attempts side by side count once
        while len(self.known) >= KEPT:
            del self.known[next(iter(self.known))]
        self.known[address] = Silence(count, now, now + min(FIRST * 2.0 ** (count - 1), LONGEST))
        self.changed = True

    def answered(self, address: Key) -> None:
        """It is alive, whatever it said."""
        if self.known.pop(address, None) is not None:
            self.changed = True

    def forget(self) -> None:
        """Somebody knows that they are back."""
        self.changed = self.changed or bool(self.known)
        self.known.clear()

    def skip(self, address: Key, now: float) -> bool:
        """Whether it should be left alone."""
        silence = self.known.get(address)
        return silence is not None and now < silence.until
