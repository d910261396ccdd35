"""Brings deliveries back from disk when they fall due and there is room for them.

The due index is read once, in order, by a cursor; nothing polls.  A destination that has its fill
in memory is passed over and read for itself once it has drained, so a host that hangs with a
million messages behind it costs the others nothing.  Where most of what is due is passed over, and mail waits for
few destinations only, those are asked for by name, and each is read for itself: a million rows need not be looked at.  Destinations that struggle (their last attempt
was put off) are read back slowly, all of them together, until something gets through: a host that
refuses a million messages costs the others next to nothing.
"""

from collections.abc import Callable
from typing import Any, Protocol

from appliance import log
from appliance.queue.held import Held, Message, message_of
from appliance.queue.leases import NEAR, Channel
from appliance.queue.pace import SIP, Pace
from appliance.queue.store import LAST, REMOTE, DeliveryRow, Loaded, Page, Store, recipients

PAGE = 200  # rows read at a time
NAMES = 1000  # remote destinations at most that are all read for themselves
DRAIN = NEAR  # rows of one destination read at a time: more than are in memory of it already, which is sparse then
LULL = 0.02  # seconds between two looks that only pass over rows: they are many, and other mail goes first
SHORTEST = 0.2  # seconds a timer runs at least: what falls due in that time is read together
LONGEST = 300.0  # seconds a timer runs at most, for the clock may be set
RETRY = 5.0  # seconds after the disk refused to be read

Scan = tuple[Page, list[bytes], float | None]


class Reader(Protocol):
    """Runs a question on the store's thread and tells the answer on the loop."""

    def read(self, ask: Callable[[], Any], tell: Callable[[Any, Exception | None], None]) -> None: ...


class Feed:
    """The due deliveries of one channel.

    orphan: told of a delivery whose message is gone (a damaged database).
    filled: called when something was brought back.
    """

    def __init__(
        self,
        store: Store,
        reader: Reader,
        channel: Channel,
        messages: dict[int, Message],
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Any],
        orphan: Callable[[DeliveryRow], None],
        filled: Callable[[], None],
    ) -> None:
        self._store, self._reader, self._channel, self._messages = store, reader, channel, messages
        self._clock, self._later, self._orphan, self._filled = clock, later, orphan, filled
        self._cursor = (0.0, 0)  # due and id of the last row looked at
        self._more = True  # something due may stand after the cursor
        self._behind: dict[bytes, None] = {}  # destinations passed over
        self._slow: dict[bytes, None] = {}  # those of them that struggle
        self._pace = Pace(clock())
        self._waking = False  # a timer waits for the pace
        self._reading = False
        self._draining = False  # the last read was one destination's
        self._back: float | None = None  # the earliest due that came to disk while we read
        self._timer: Any = None
        self._timer_due = 0.0
        self._stopped = False

    def expect(self, due: float, destination: bytes | None = None) -> None:
        """A delivery is on disk only: a new one that did not fit, or one to be tried again."""
        if destination is not None and self._channel.crowded(destination):
            self._pass_over(destination)
            return
        if self._reading:
            self._back = due if self._back is None else min(self._back, due)
        elif due <= self._cursor[0]:
            self._cursor = (due, 0)
        if due <= self._clock():
            self._more = True
        else:
            self._arm(due)

    def wake(self) -> None:
        """Read on if there is something to read and room for it."""
        if self._reading or self._stopped or not (self._more or self._behind or self._slow):
            return
        if not self._channel.roomy():
            return
        drained = None
        if not (self._more and self._draining):  # by turns: neither may starve the other
            drained = self._next_behind()
        self._draining = drained is not None
        if drained is not None:
            self._drain(drained)
        elif self._more:
            self._scan()
        elif self._slow and not self._waking:
            self._waking = True
            self._later(max(SHORTEST, self._pace.wait(self._clock())), self._at_pace)

    def _pass_over(self, destination: bytes) -> None:
        """At the end of its line."""
        (self._slow if destination in self._channel.struggling else self._behind)[destination] = None

    def _next_behind(self) -> bytes | None:
        """The destination to be read for itself; one that struggles only as the pace allows."""
        channel = self._channel
        while channel.recovered:
            destination = channel.recovered.pop()
            if destination in self._slow:
                del self._slow[destination]
                self._behind[destination] = None
        while (found := next(filter(channel.sparse, self._behind), None)) is not None:
            if found not in channel.struggling:
                return found
            del self._behind[found]
            self._slow[found] = None
        if not self._slow or self._pace.wait(self._clock()):
            return None
        return next(filter(channel.sparse, self._slow), None)

    def _at_pace(self) -> None:
        self._waking = False
        self.wake()

    def _drain(self, destination: bytes) -> None:
        self._reading = True
        self._forget(destination)  # what comes to it from now on is not read, and passes it over anew
        store, now = self._store, self._clock()
        self._reader.read(
            lambda: store.due_to(destination, now, DRAIN),
            lambda rows, error: self._drained(destination, rows, error),
        )

    def _scan(self) -> None:
        self._reading = True
        self._more = False  # unless the page is full, or something comes meanwhile
        store, channel, now, cursor = self._store, self._channel.number, self._clock(), self._cursor
        passed_over = [*self._slow, *self._behind]

        def scan() -> Scan:
            page, names = store.due(channel, cursor, now, PAGE, passed_over), None
            if channel == REMOTE and page.more and len(page.rows) < PAGE:  # most were passed over
                names = store.destinations(now, NAMES)
            if names is not None:
                page = Page(page.rows, (now, LAST), more=False)
            return page, names or [], None if page.more else store.next_due(channel, now)

        self._reader.read(scan, self._scanned)

    def stop(self) -> None:
        """No more timers."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, due: float) -> None:
        if self._stopped or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._later(min(max(SHORTEST, due - self._clock()), LONGEST), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._more = True
        self.wake()

    def _scanned(self, found: Scan, error: Exception | None) -> None:
        if error is not None:
            self._failed(error)
            return
        page, names, next_due = found
        self._cursor = page.end
        self._more = self._more or page.more
        if next_due is not None:
            self._arm(next_due)
        wanted = self._fitting(page.rows)
        for name in names:
            if not self._passed_over(name):
                self._pass_over(name)
        if page.more and not page.rows:
            self._later(LULL, lambda: self._load([]))
        else:
            self._load(wanted)

    def _fitting(self, rows: list[DeliveryRow]) -> list[DeliveryRow]:
        """Those that are worth reading back now; the destinations of the others are passed over."""
        channel = self._channel
        wanted: list[DeliveryRow] = []
        coming: dict[bytes, int] = {}
        slowly = self._pace.left(self._clock())
        for row in rows:
            destination = row.destination
            if row.id in channel.held:
                continue
            count, struggles = coming.get(destination, 0), destination in channel.struggling
            if channel.near(destination, count) or (struggles and slowly <= 0) or self._passed_over(destination):
                self._pass_over(destination)
                continue
            coming[destination] = count + 1
            wanted.append(row)
            slowly -= struggles
            self._pace.spend(struggles)
        return wanted

    def _passed_over(self, destination: bytes) -> bool:
        return destination in self._behind or destination in self._slow

    def _forget(self, destination: bytes) -> None:
        self._behind.pop(destination, None)
        self._slow.pop(destination, None)

    def _drained(self, destination: bytes, rows: list[DeliveryRow], error: Exception | None) -> None:
        if error is not None:
            self._pass_over(destination)
            self._failed(error)
            return
        most = NEAR // 2
        if destination in self._channel.struggling:
            most = max(1, min(most, self._pace.left(self._clock())))
            self._pace.spend(max(SIP, min(most, len(rows))))
        wanted = [row for row in rows if row.id not in self._channel.held]
        if len(wanted) > most or len(rows) == DRAIN:
            wanted = wanted[:most]
            self._pass_over(destination)
        self._load(wanted)

    def _load(self, rows: list[DeliveryRow]) -> None:
        asked = {row.message for row in rows} - self._messages.keys()

        def told(loaded: list[Loaded], error: Exception | None) -> None:
            if error is None and not {row.message for row in rows} <= asked | self._messages.keys():
                self._load(rows)  # one that was in memory has left it meanwhile
            else:
                self._loaded(rows, loaded, error)

        if asked:
            self._reader.read(lambda: self._store.load(sorted(asked)), told)
        else:
            self._loaded(rows, [], None)

    def _loaded(self, rows: list[DeliveryRow], loaded: list[Loaded], error: Exception | None) -> None:
        if error is not None:
            self._cursor = min([self._cursor, *((row.due, 0) for row in rows)])
            self._failed(error)
            return
        self._read()
        fresh = {found.message.id: message_of(found) for found in loaded}
        for row in rows:
            if row.id in self._channel.held or self._channel.barred(row.message):
                continue
            # one that is in memory meanwhile knows of reports that are not committed yet
            message = self._messages.get(row.message) or fresh.get(row.message)
            if message is None:
                self._orphan(row)
                continue
            left, done = recipients(row.recipients)
            delivery = Held(row.id, message, row.destination, row.attempts, left, row.due)
            delivery.done = done
            self._messages[message.id] = message
            self._channel.take(delivery)
        self._filled()
        self.wake()

    def _read(self) -> None:
        """A read is over: go back to what came to disk behind the cursor meanwhile."""
        self._reading = False
        if self._back is not None:
            self._cursor = min(self._cursor, (self._back, 0))
            self._back = None

    def _failed(self, error: Exception) -> None:
        self._read()
        log.trouble("queue: due deliveries can't be read, tried again soon", error)
        self._more = True
        if not self._stopped:
            self._later(RETRY, self.wake)
