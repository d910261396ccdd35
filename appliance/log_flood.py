"""Which lines of the log are too many: those that strangers can cause without end are counted.  Pure.

In a window of time each of them has some lines of an event and all together have some more; what comes then is
counted, and told in one line for each at the window's end.
"""

from collections import Counter
from typing import NamedTuple

WINDOW = 60.0  # seconds
EACH = 100  # lines of an event for each client, or each sentence
ALL = 1000  # lines of an event
NAMED = 50  # of those that were counted; the others are one line


class Repeated(NamedTuple):
    """So many lines of an event were not written; of: whose, empty for all others."""

    what: str
    of: str
    lines: int
    seconds: int


class Flood:
    """The lines of one program."""

    def __init__(self, window: float = WINDOW, each: int = EACH, most: int = ALL) -> None:
        self.window = window
        self.counted = 0  # in this window
        self._each, self._most = each, most
        self._began = 0.0
        self._written: Counter[tuple[str, str]] = Counter()
        self._left_out: Counter[tuple[str, str]] = Counter()

    def passes(self, event: str, who: str, now: float) -> bool:
        """Whether to write a line; else it is counted."""
        if not self._written:
            self._began = now
        key, everybody = (event, who), (event, "")
        if self._written[everybody] < self._most and self._written[key] < self._each:
            self._written[everybody] += 1
            self._written[key] += 1
            return True
        self.counted += 1
        self._left_out[key if key in self._left_out or len(self._left_out) < NAMED else everybody] += 1
        return False

    def ended(self, now: float) -> list[Repeated]:
        """If the window is over: what was counted in it."""
        if not self._written or now < self._began + self.window:
            return []
        seconds = round(min(now - self._began, self.window))
        found = [Repeated(event, who, lines, seconds) for (event, who), lines in self._left_out.items()]
        self._written.clear()
        self._left_out.clear()
        self.counted = 0
        return found
