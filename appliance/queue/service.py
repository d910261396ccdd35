"""The queue's own work: accept, hand out, take reports.  Without sockets: the doors call it.

What changes goes to the writer as an item; its `done` runs after the commit and is the only
place where a client is answered, a worker is given something, or an event is logged.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from appliance import log, message_id
from appliance.address import is_verp
from appliance.control import Control, Generation
from appliance.envelope import Envelope
from appliance.errors import Result
from appliance.lease import Report
from appliance.queue import schedule
from appliance.queue.astray import Astray
from appliance.queue.body import Bodies
from appliance.queue.bounce import Bounces
from appliance.queue.clock import Clock
from appliance.queue.commit import Item
from appliance.queue.feed import Feed
from appliance.queue.flow import Flow
from appliance.queue.held import Held, Message, Worker
from appliance.queue.items import Accepting, Answering, Reporting
from appliance.queue.leases import Channel
from appliance.queue.notices import Notices
from appliance.queue.outcome import judge
from appliance.queue.postmaster import Postmaster
from appliance.queue.room import Room
from appliance.queue.send_log import SendLog
from appliance.queue.sorting import Ids, Sorter, Stamp, Way
from appliance.queue.store import CHANNELS, LOCAL, REMOTE, Change, DeliveryRow, MessageRow, Store, records
from appliance.route import Routes

WAKE = 5.0  # seconds between looks at the configuration while no mail comes
LOST = Report(Result.PERMANENT, b"The message was damaged on our disk and can't be delivered any more.")
Answer = Callable[[bytes], None]
Ways = list[tuple[Way, tuple[bytes, ...]]]


class Writer(Protocol):
    """What the service needs of commit.Writer."""

    trouble: str

    @property
    def pending(self) -> int: ...
    def submit(self, item: Item) -> None: ...
    def read(self, ask: Callable[[], Any], tell: Callable[[Any, Exception | None], None]) -> None: ...


class Service:
    """One queue. Raises OSError, LookupError if there is no configuration."""

    def __init__(
        self,
        store: Store,
        control: Control,
        bodies: Bodies,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Any],
    ) -> None:
        self.clock = clock if isinstance(clock, Clock) else Clock(clock, clock)  # one that nobody sets
        self.bodies = bodies
        self.count = store.count()
        self.messages: dict[int, Message] = {}  # those with deliveries in memory
        self.channels = (Channel(LOCAL), Channel(REMOTE))
        self.unwritten = 0  # bytes that wait for a commit
        self.flow = Flow(self.channels[LOCAL], clock, later)
        self._store, self._control, self.later = store, control, later
        self.postmaster = Postmaster(self, store)
        self.astray = Astray(self)
        self.coming: set[int] = set()  # messages of a damaged queue, in this one and not marked so yet
        for channel in self.channels:
            channel.barred = self._barred
        self._ids = Ids(store.last())
        self._stamp = Stamp()
        self.leasing = True
        self.room = Room(bodies.folder.parent, bodies.used, store.used)
        self.send_log: SendLog | None = None
        self.generation: Generation
        self.bounces: Bounces
        self._configure(control.current())

    def connect(self, writer: Writer) -> None:
        """Begin to work with this writer."""
        self.writer = writer
        self.feeds = tuple(
            Feed(self._store, writer, channel, self.messages, self.clock, self.later, self.astray.found, self.dispatch)
            for channel in self.channels
        )
        self.notices = Notices(self, self._store, self.later)
        self.wake()

    # -- configuration ------------------------------------------------------------------

    def _configure(self, generation: Generation) -> None:
        self.routes = Routes.of(generation)
        self._sorter = Sorter(self.routes)
        self.bounces = Bounces(generation)
        self.room.configure(generation)
        self.lifetime = generation.integer("queuelifetime", schedule.LIFETIME)
        self.databytes = generation.integer("databytes", 0)
        limits = [generation.integer(f"concurrency{name}", most) for name, most in zip(CHANNELS, (10, 20), strict=True)]
        for channel, limit in zip(self.channels, limits, strict=True):
            channel.hold = limit == 0
        self._write_as(generation.mapping("log").get(b"format"), limits)
        self.generation = generation

    def _write_as(self, form: bytes | None, limits: Sequence[int]) -> None:
        """In qmail's form the log tells what the queue does, in qmail-send's words."""
        if form != b"qmail":
            if self.send_log is not None:
                self.send_log.close()
            self.send_log = None
        elif self.send_log is None:
            self.send_log = SendLog(self.channels, limits)
        else:
            self.send_log.limits = tuple(limits)

    def refresh(self) -> None:
        """Follow a newly activated generation."""
        try:
            generation = self._control.current()
            if generation is not self.generation:
                self._configure(generation)
                self.notices.look()
                self.settled()
        except (OSError, LookupError) as error:
            log.trouble("queue: the new generation can't be read, the old one stays in force", error)

    # -- accept -------------------------------------------------------------------------

    def place(self, letter: Envelope, now: float) -> tuple[int, Ways]:
        """A message's id and its deliveries, whose ids follow."""
        ways = self._sorter.sort(letter.recipients, alone=is_verp(letter.sender))
        return self._ids.take(len(ways), now), ways

    def new_id(self, deliveries: int) -> int:
        """For a message that comes from elsewhere; those of its deliveries follow."""
        return self._ids.take(deliveries, self.clock())

    def received(self, message: int, role: str, now: float) -> bytes:
        """The line that comes first in the content."""
        return self._stamp.received(message, role, now)

    def accept(self, role: str, letter: Envelope, content: bytes | memoryview, answer: Answer) -> None:
        """Take a message whose content is in memory."""
        now = self.clock()
        number, ways = self.place(letter, now)
        whole = b"".join((self._stamp.received(number, role, now), content))
        self.submit(Accepting(self, role, answer, letter, *self.rows(number, letter.sender, whole, ways, now)))

    def accept_body(self, role: str, letter: Envelope, number: int, ways: Ways, size: int, answer: Answer) -> None:
        """Take a message whose content is in its body file, synced (guarantee 1)."""
        now = message_id.born(number)
        message, change = self.rows(number, letter.sender, None, ways, now, size)
        self.submit(Accepting(self, role, answer, letter, message, change))

    def refuse(self, answer: Answer, text: bytes) -> None:
        """Answer a request that can't be taken, in its turn."""
        self.submit(Answering(answer, text))

    def submit(self, item: Item) -> None:
        self.writer.submit(item)

    def rows(
        self, number: int, sender: bytes, content: bytes | None, ways: Ways, now: float, size: int = 0
    ) -> tuple[Message, Change]:
        """A new message in memory and as rows."""
        if content is not None:
            size = len(content)
        message = Message(number, sender, size, content, len(ways), [])
        if not ways:  # zero recipients are valid: nothing to keep
            return message, Change(last=self._ids.last)
        deliveries = [
            DeliveryRow(number + n, number, way[0], way[1], now, 0, records(addresses), b"")
            for n, (way, addresses) in enumerate(ways, 1)
        ]
        row = MessageRow(number, sender, size, len(ways), content)
        self.unwritten += size
        return message, Change((row,), deliveries, (), (), self._ids.last)

    def accepted(self, message: Message, deliveries: Sequence[DeliveryRow]) -> None:
        """A message is durable: straight to the workers, without reading it back."""
        self.count += 1
        for row in deliveries:
            channel = self.channels[row.channel]
            if channel.full() or channel.crowded(row.destination):
                self.feeds[row.channel].expect(row.due, row.destination)
                continue
            left = tuple([r[1:] for r in row.recipients.split(b"\0")[:-1]])
            self.messages[message.id] = message
            channel.take(Held(row.id, message, row.destination, 0, left, row.due))

    # -- reports ------------------------------------------------------------------------

    def reported(self, channel: Channel, delivery: Held, reports: Sequence[Report]) -> None:
        """An attempt has ended: decide what becomes of the delivery, and of its message."""
        message = delivery.message
        now = self.clock()
        if self.postmaster.dropped:
            reports = self.postmaster.reports(delivery, reports)
        if message.id in self.bodies.lost:
            reports = [each if each.result is Result.DONE else LOST for each in reports] or [LOST]
        if self.send_log is not None:
            self.send_log.ended(channel, delivery, reports, last=self._last(delivery, now))
        if len(delivery.left) == 1 and len(reports) == 1 and reports[0].result is Result.DONE:
            item = Reporting(self, channel, delivery, Change(done=(delivery.id,)))  # nearly all mail
        else:
            born = message_id.born(message.id)
            outcome = judge(delivery.left, reports, self._last(delivery, now))
            item = Reporting(self, channel, delivery, Change(), outcome)
            due = schedule.next_attempt(born, delivery.started, channel.number)
            item.settle(self.postmaster.due(message.id, due), self.routes)
            if outcome.deferred:
                item.wait(now)
                self.submit(item)
                return
        message.left -= 1
        if message.left:
            item.wait(now)
        else:
            item.finish(now)
        self.submit(item)

    def _last(self, delivery: Held, now: float) -> bool:
        """Whether an attempt was the last one: not by a clock that was set ahead, and back again meanwhile or perhaps soon."""
        born, began = message_id.born(delivery.message.id), min(delivery.started, now)
        return schedule.expired(born, began, self.lifetime) and not self.clock.doubted

    # -- workers ------------------------------------------------------------------------

    def leave(self, channel: Channel, worker: Worker) -> None:
        """A worker is gone; a delivery that killed several waits for its next attempt."""
        if self.send_log is not None:
            self.send_log.lost(channel, worker)
        for delivery in channel.leave(worker):
            log.trouble("queue: workers ended with this delivery in hand, it is deferred", delivery.message.name)
            self.reported(channel, delivery, ())
        self.postmaster.left_by_worker()
        self.dispatch()

    def dispatch(self) -> None:
        """Hand out what is ready."""
        if self.leasing:
            now = self.clock()
            for channel in self.channels:
                channel.dispatch(now)

    def settled(self) -> None:
        """After each commit: new work, room in memory."""
        self.flow.look()
        self.room.look(self.clock(), self.writer.read)
        self.dispatch()
        for feed in self.feeds:
            feed.wake()

    def wake(self) -> None:
        """Now and then: while nothing comes, a changed configuration is noticed here, and a hold's end."""
        self.refresh()
        self.settled()
        if self.leasing:
            self.later(self.room.attention(WAKE), self.wake)

    def release(self, channel: Channel, delivery: Held) -> None:
        """A delivery leaves memory."""
        channel.release(delivery)
        if channel.number == LOCAL:
            self.flow.moved()
        if not delivery.message.held:
            self.messages.pop(delivery.message.id, None)

    def _barred(self, message: int) -> bool:
        """Whether none of its deliveries may begin now."""
        return message in self.coming or self.postmaster.barred(message)

    def hold(self, message: Message) -> None:
        """A message stays in memory, for a notice about it is under way: what is told of it is what is known here."""
        message.held += 1
        self.messages[message.id] = message

    def let_go(self, message: Message) -> None:
        """It needs not stay any longer."""
        message.held -= 1
        if not message.held:
            self.messages.pop(message.id, None)

    def stop_leasing(self) -> None:
        """The queue is about to stop."""
        self.leasing = False
        for feed in self.feeds:
            feed.stop()
        self.notices.stop()
