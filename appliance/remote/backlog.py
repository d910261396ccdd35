"""The mail that waits for one next hop, and the connections to it.  No effects here."""

from collections import deque

from appliance.lease import Delivery, Report
from appliance.remote.hops import Hop
from appliance.remote.mx import Address
from appliance.remote.session import Session
from appliance.remote.settings import Settings

FIRST = 2  # connections to a hop that has accepted nothing yet; each accepted message allows one more
MOST = 20  # connections to one hop
STALLED = 1.0  # seconds without progress after which waiting mail no longer counts as in hand
GIVE_UP = 30.0  # seconds without progress after which most of it goes back to the queue
PAUSE = 30.0  # seconds without further connections after the hop refused one more
REST = 1.0  # seconds after a second failed connection in a row in which all mail for the hop fails likewise
KEPT = 10  # deliveries that wait on at a hop that makes no progress


TRIES = 5  # addresses of a hop in one attempt; RFC 5321 section 5.1 asks for at least two
LEFT = 60.0  # seconds for which the other addresses are asked first after one put its first message off


class Backlog:
    """One next hop.

    waiting   deliveries without a connection
    idle      connections without a delivery
    opening   connections on their way
    limit     connections allowed
    progress  when something last went well, or the first delivery came
    """

    def __init__(self, hop: Hop, settings: Settings) -> None:
        self.hop = hop
        self.settings = settings
        self.waiting: deque[Delivery] = deque()
        self.sessions: set[Session] = set()
        self.idle: dict[Session, None] = {}
        self.opening = 0
        self.limit = FIRST
        self.progress = 0.0
        self._full_until = 0.0
        self._failures = 0  # connections that failed, one after the other
        self._addresses: list[Address] = []  # of the last look
        self._left: dict[Address, float] = {}  # those that put a first message off, and until when others are asked
        self._failure: tuple[Report, float] | None = None  # the last one's, and when

    @property
    def empty(self) -> bool:
        return not (self.waiting or self.sessions or self.opening)

    @property
    def wants_connection(self) -> bool:
        """Whether another connection would help; the first must be greeted before there is a second."""
        if self.opening and not self.sessions:
            return False
        return len(self.waiting) > self.opening and len(self.sessions) + self.opening < self.limit

    def add(self, delivery: Delivery, now: float) -> None:
        """A delivery for this hop."""
        if self.empty:
            self.progress = now
        self.waiting.append(delivery)

    @property
    def starving(self) -> bool:
        """Whether mail waits and no connection serves it."""
        return bool(self.waiting) and not self.sessions and not self.opening

    def moved(self, now: float, *, accepted: bool) -> None:
        """The hop dealt with a message; if it accepted it, it bears one more connection."""
        self.progress = now
        if accepted and self.limit < MOST and now >= self._full_until:
            self.limit += 1

    def choose(self, addresses: list[Address], now: float) -> list[Address]:
        """Those to be tried, in their order; one that put mail off is left out while there is another one."""
        self._addresses = addresses[:TRIES]
        return [each for each in self._addresses if now >= self._left.get(each, 0.0)] or self._addresses

    def leave(self, address: Address, now: float) -> bool:
        """An address puts mail off: whether another one is left (qmail waits for the next attempt)."""
        self._left[address] = now + LEFT
        return any(now >= self._left.get(each, 0.0) for each in self._addresses)

    def full(self, now: float) -> None:
        """The hop refused a connection: those that are open, if any, must do for a while."""
        self.limit = max(1, len(self.sessions))
        if self.sessions:
            self._full_until = now + PAUSE

    def fail(self, failure: Report, now: float) -> None:
        """There is no connection to the hop."""
        self._failures += 1
        self._failure = (failure, now)

    def opened(self, session: Session, now: float) -> None:
        """There is a connection."""
        self.sessions.add(session)
        self.progress = now
        self._failures, self._failure = 0, None

    def resting(self, now: float) -> Report | None:
        """Why the hop is left alone now, if it is."""
        return self._failure[0] if self._failures > 1 and self._failure and now < self._failure[1] + REST else None

    def forgettable(self, now: float) -> bool:
        """Nothing is known of the hop that matters."""
        return self.empty and (self._failure is None or now >= self._failure[1] + 2 * REST)

    def parked(self, now: float) -> int:
        """Deliveries that wait for a hop that does not move."""
        return len(self.waiting) if now - self.progress > STALLED else 0

    def surplus(self, now: float) -> list[Delivery]:
        """Deliveries that should go back to the queue, for the hop has not moved for long."""
        if now - self.progress < GIVE_UP:
            return []
        return [self.waiting.pop() for _ in range(len(self.waiting) - KEPT)]
