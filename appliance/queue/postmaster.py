"""What a postmaster does to a message by hand: hold it, release it, try it now, drop it."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from appliance import log, message_id
from appliance.errors import Result
from appliance.lease import Report
from appliance.queue.body import Bodies
from appliance.queue.held import Held
from appliance.queue.store import NEVER, Change, DeliveryRow, NoticeRow, Store

if TYPE_CHECKING:
    from appliance.queue.service import Service

CHANGES = ("retry", "hold", "release", "drop")
RETRY = 5.0  # seconds after the disk refused to be read
FORGET = 60.0  # seconds after which no read of the queue's is under way that began before a message was dropped

Tell = Callable[[int, Exception | None], None]  # told how many deliveries it was done to


def due_again(verb: str, rows: Iterable[DeliveryRow], now: float) -> list[DeliveryRow]:
    """The deliveries that hold, release or retry changes, as they are then."""
    due = NEVER if verb == "hold" else now
    return [row._replace(due=due) for row in rows if (row.due == NEVER) is (verb == "release")]


def at_rest(store: Store, bodies: Bodies, verb: str, message: int) -> int:
    """Do it while no queue runs; to how many deliveries. Raises Unavailable."""
    rows = store.waiting(message)
    if verb != "drop":
        change = Change()
        change.updates = due_again(verb, rows, time.time())
        store.commit([change])
        return len(change.updates)
    store.commit([_end(message, rows)])
    bodies.remove(message)
    return len(rows)


def _end(message: int, rows: Iterable[DeliveryRow], *, whole: bool = True) -> Change:
    """What drops these deliveries; and the message, if they are all."""
    change = Change(done=[row.id for row in rows], finished=(message,) if whole else ())
    change.forgotten = (message,)
    if whole:
        change.notices = (NoticeRow(message, NEVER, delayed=False),)
    return change


class _Doing:
    """A change by hand; kept until the disk takes it, for memory follows it already."""

    keep = True

    def __init__(self, change: Change, count: int, after: Callable[[], None], tell: Tell) -> None:
        self.change: Change | None = change
        self._count, self._after, self._tell = count, after, tell

    def done(self, error: Exception | None) -> None:
        if error is None:
            self._after()
        self._tell(self._count, error)


def _nobody(count: int, error: Exception | None) -> None:
    """Nobody asked."""


class Postmaster:
    """The hand in the queue.

    held, dropped: messages of which no delivery may begin.  A delivery that a worker has goes on; what becomes of
    a held message's is kept, and a dropped one's does not matter any more.
    """

    def __init__(self, service: "Service", store: Store) -> None:
        self._service, self._store = service, store
        self.held: set[int] = set()
        self.dropped: dict[int, int] = {}  # by how many drops that are not forgotten yet
        self._ending: set[int] = set()  # deliveries on disk that a commit under way drops

    def barred(self, message: int) -> bool:
        """Whether no delivery of a message may begin."""
        return message in self.held or message in self.dropped

    # -- verbs: each tells how many deliveries it was done to, or why it could not be ---------

    def hold(self, message: int, tell: Tell) -> None:
        """Nothing more is tried until it is released."""
        self.held.add(message)
        self._withdraw(message)
        self._rows(message, tell, lambda rows: self._put(message, ("hold",), rows, tell))

    def release(self, message: int, tell: Tell) -> None:
        """It goes on, and is tried now."""
        verbs = ("release", "retry") if message in self.held else ("release",)  # the hold may not be on disk yet
        self.held.discard(message)
        self._rows(message, tell, lambda rows: self._put(message, verbs, rows, tell))

    def retry(self, message: int, tell: Tell) -> None:
        """What waits is tried now; not what is held."""
        self._rows(message, tell, lambda rows: self._put(message, ("retry",), rows, tell))

    def drop(self, message: int, tell: Tell) -> None:
        """It ends here: nobody else gets it, and nobody is told."""
        self.dropped[message] = self.dropped.get(message, 0) + 1
        self._withdraw(message)
        self._rows(message, tell, lambda rows: self._drop(message, rows, tell))

    # -- for the service --------------------------------------------------------------------

    def due(self, message: int, due: float) -> float:
        """When a delivery that was put off is tried again."""
        return NEVER if message in self.held else due

    def reports(self, delivery: Held, reports: Iterable[Report]) -> list[Report]:
        """What counts of a worker's reports: of a dropped message there is nothing left to try or to tell."""
        if delivery.message.id in self.dropped:
            return [Report(Result.DONE)] * len(delivery.left)
        return list(reports)

    def left_by_worker(self) -> None:
        """A worker ended, and what it had in hand is ready again: not that of held and dropped messages."""
        for message in self.held | self.dropped.keys():
            self._again(message)

    def put_off(self, message: int, due: float) -> None:
        """A delivery is on disk again: what was said of its message while the report was under way is done to it now."""
        if message in self.dropped or (message in self.held) is not (due == NEVER):
            self._again(message)

    def _again(self, message: int) -> None:
        verb = self.drop if message in self.dropped else self.hold if message in self.held else self.release
        verb(message, _nobody)

    # -- how ----------------------------------------------------------------------------------

    def _withdraw(self, message: int) -> None:
        """Nothing of it begins any more: what is ready leaves memory."""
        for channel in self._service.channels:
            for delivery in channel.withdraw(message):
                self._service.let_go(delivery.message)

    def _rows(self, message: int, tell: Tell, then: Callable[[list[DeliveryRow]], None]) -> None:
        """Its deliveries that are on disk only."""

        def read(rows: list[DeliveryRow], error: Exception | None) -> None:
            if error is not None:
                log.trouble("queue: a message can't be changed by hand now, tried again soon", error)
                self._service.later(RETRY, lambda: self._rows(message, tell, then))
                return
            try:
                channels = self._service.channels
                then([row for row in rows if row.id not in channels[row.channel].held and row.id not in self._ending])
            except Exception as problem:  # noqa: BLE001  # a defect of ours ends nobody else's work
                log.trouble("queue: a message could not be changed by hand", repr(problem))
                tell(0, problem)

        self._service.writer.read(lambda: self._store.waiting(message), read)

    def _put(self, message: int, verbs: Sequence[str], rows: list[DeliveryRow], tell: Tell) -> None:
        change, hold = Change(), "hold" in verbs
        if (message in self.held) is hold:  # nobody has said otherwise meanwhile
            now = self._service.clock()
            change.updates = [row for verb in verbs for row in due_again(verb, rows, now)]
        changed = change.updates

        def after() -> None:
            if changed or tell is not _nobody:
                log.changed(message_id.text(message), "held" if hold else "due now", len(changed))
            for row in changed:
                self._service.feeds[row.channel].expect(row.due)
            self._service.settled()

        self._service.submit(_Doing(change, len(changed), after, tell))

    def _drop(self, message: int, rows: list[DeliveryRow], tell: Tell) -> None:
        service = self._service
        known = service.messages.get(message)
        if known is not None:
            known.left -= len(rows)
            known.failures = []
        ends = bool(rows) and (known is None or known.left == 0)  # else a worker's report ends it
        change = _end(message, rows, whole=ends)
        numbers = frozenset(row.id for row in rows)
        self._ending |= numbers

        def after() -> None:
            if rows or tell is not _nobody:
                log.changed(message_id.text(message), "dropped", len(rows))
            self._ending -= numbers
            self._forget(message)
            if ends:
                service.count -= 1
                service.bodies.remove(message)

        service.submit(_Doing(change, len(rows), after, tell))

    def _forget(self, message: int) -> None:
        """Until nobody can bring it back."""

        def look() -> None:
            if message in self._service.messages:
                self._forget(message)
            elif self.dropped[message] > 1:  # the other one may be under way
                self.dropped[message] -= 1
            else:
                del self.dropped[message]

        self._service.later(FORGET, look)
