"""Mutated inputs without a fuzzing engine: the same seed gives the same inputs, everywhere.

And how an input is tried: within a time, whatever it is.
"""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

LONGEST = 4096  # bytes of an input
_INTERESTING = b'\0\t\n\r "#$%&+,-./0189:;<=>?@[\\]{|}\x7f\x80\xc3\xff'


class Hang(BaseException):
    """An input took too long; not an Exception, so that no parser swallows it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises Hang if what happens here takes longer."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} s for one input")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutations(corpus: list[bytes], words: tuple[bytes, ...], seed: int | str) -> Iterator[bytes]:
    """Inputs without end: kept ones, with a few changes each."""
    chance = random.Random(seed)
    corpus = corpus or [b""]
    changes: list[Callable[[random.Random, bytearray, bytes], None]] = [_flip, _set, _cut, _repeat, _splice]
    while True:
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.choice((1, 1, 2, 3, 5, 9))):
            if words and chance.random() < 0.4:
                place = _place(chance, data)
                data[place : place + chance.choice((0, 0, 1, 4))] = chance.choice(words)
            else:
                chance.choice(changes)(chance, data, chance.choice(corpus))
        yield bytes(data[:LONGEST])


def _place(chance: random.Random, data: bytearray) -> int:
    return chance.randint(0, len(data))


def _flip(chance: random.Random, data: bytearray, _other: bytes) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, data: bytearray, _other: bytes) -> None:
    place = _place(chance, data)
    data[place : place + chance.randint(0, 1)] = bytes([chance.choice(_INTERESTING)])


def _cut(chance: random.Random, data: bytearray, _other: bytes) -> None:
    place = _place(chance, data)
    del data[place : place + chance.choice((1, 1, 2, 8, 64))]


def _repeat(chance: random.Random, data: bytearray, _other: bytes) -> None:
    place = _place(chance, data)
    data[place:place] = data[place : place + chance.choice((1, 4, 32))] * chance.choice((1, 2, 100))


def _splice(chance: random.Random, data: bytearray, other: bytes) -> None:
    start, place = chance.randint(0, len(other)), _place(chance, data)
    data[place : place + chance.choice((0, 8))] = other[start : start + chance.choice((1, 8, 64, 512))]
