"""Mail comes in no faster than mailboxes take it, for a moment at a time.

Bursts of large messages would else fill the memory of the queue and, what is worse, its database: what is delivered
soon after it came never touches that.  While local has too much to do, whoever brings mail is read on only when
it has caught up, or after WAIT; so mail is always taken, as by Postfix's in_flow_delay.
"""

from collections.abc import Callable
from typing import Any

from appliance.queue.leases import Channel

BEHIND = 4 * 1024 * 1024  # bytes of content in memory on their way to mailboxes
WAIT = 0.05  # seconds that new mail waits at most
STILL = 1.0  # seconds without a delivery after which waiting is of no use: local is gone, or its disk hangs


class Flow:
    """Who waits until local has caught up."""

    def __init__(
        self,
        local: Channel,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Any],
    ) -> None:
        self._local, self._clock, self._later = local, clock, later
        self._moved = 0.0
        self._waiting: list[Callable[[], None]] = []

    @property
    def behind(self) -> bool:
        """Whether local works and can't keep up."""
        return self._local.bytes > BEHIND and abs(self._clock() - self._moved) < STILL

    def moved(self) -> None:
        """A delivery to a mailbox has ended."""
        self._moved = self._clock()

    def wait(self, resume: Callable[[], None]) -> None:
        """Call `resume` when local has caught up, or after WAIT."""
        if not self._waiting:
            self._later(WAIT, self._go_on)
        self._waiting.append(resume)

    def look(self) -> None:
        """Something has changed."""
        if self._waiting and not self.behind:
            self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()
