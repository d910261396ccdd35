"""Addresses that did not answer lately: each attempt costs a connection for as long as it lasts.

What qmail's tcpto table is for.  A refusal is an answer; only time-outs count.  Pure.
"""

FIRST = 60.0  # seconds an address is left alone after a time-out; doubled each time it happens again
LONGEST = 3600.0
KEPT = 1000  # addresses

Key = tuple[str, int]


class Silent:
    """Addresses and until when they are left alone."""

    def __init__(self) -> None:
        self._until: dict[Key, tuple[float, float]] = {}  # when, and the pause that led there

    def timed_out(self, address: Key, now: float) -> None:
        """An attempt to connect got no answer."""
        _, pause = self._until.pop(address, (0.0, FIRST / 2))
        pause = min(pause * 2, LONGEST)
        while len(self._until) >= KEPT:
            del self._until[next(iter(self._until))]
        self._until[address] = (now + pause, pause)

    def answered(self, address: Key) -> None:
        """It is alive, whatever it said."""
        self._until.pop(address, None)

    def skip(self, address: Key, now: float) -> bool:
        """Whether it should be left alone."""
        return now < self._until.get(address, (0.0, 0.0))[0]
