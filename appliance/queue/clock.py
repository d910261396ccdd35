"""The wall clock, and whether somebody has set it.

When mail was accepted and when it is tried again are wall clock times, for they outlive this process.  Beside the wall clock
runs one that nobody sets (CLOCK_BOOTTIME, clock_gettime(2)); when the two part, the wall clock was set.
Ahead: what falls due is tried, which is of no harm, but for an hour nothing expires by that clock.
Back: what was due soon would wait for as long again, so all that waits is tried now.
"""

import time
from collections.abc import Callable

JUMP = 60.0  # seconds by which the clocks may part between two looks: a clock is slewed more slowly (adjtimex(2))
BELIEVED = 3600.0  # seconds after which a clock that was set ahead is taken to be right


def boot() -> float:
    """Seconds since the machine's start, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Seconds since 1970, when called.  Look often: a jump that is taken back between two looks is not seen."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = boot) -> None:
        self._wall, self._steady = wall, steady
        self._apart = wall() - steady()
        self._doubted_until = -BELIEVED
        self._set_by = 0.0

    def __call__(self) -> float:
        return self._wall()

    def set_by(self) -> float:
        """Seconds by which the clock was set since this was asked last, less than 0 if back; 0 if it was not."""
        self._look()
        by, self._set_by = self._set_by, 0.0
        return by

    @property
    def doubted(self) -> bool:
        """Whether it was set ahead lately, perhaps by mistake."""
        self._look()
        return self._steady() < self._doubted_until

    def _look(self) -> None:
        apart = self._wall() - self._steady()
        by, self._apart = apart - self._apart, apart
        if by > JUMP:
            self._doubted_until = self._steady() + BELIEVED
        elif by < -JUMP:
            self._doubted_until = -BELIEVED
        else:
            return
        self._set_by += by
