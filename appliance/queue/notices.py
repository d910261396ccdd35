"""What senders are told while their mail is in the queue: failures early enough, and once that it is late.

A notice enters the queue in the commit that says it was sent, so none is lost and none comes twice.  What it tells
is decided on the loop, from what memory knows of the message; the message stays there until that commit is made.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from appliance import log, message_id
from appliance.address import is_verp
from appliance.envelope import Envelope
from appliance.message import qsbmf
from appliance.queue.bounce import DOUBLE, About
from appliance.queue.commit import Removing
from appliance.queue.held import Message, message_of
from appliance.queue.store import NEVER, Change, DeliveryRow, Loaded, NoticeRow, Store, recipients

if TYPE_CHECKING:
    from appliance.queue.service import Service

SOME = 50  # messages looked at together
SHORTEST = 0.1  # seconds between two looks
LONGEST = 300.0  # seconds a timer runs at most, for the clock may be set
RETRY = 5.0  # seconds after the disk refused, or a look that found nothing to do
_LIST = re.compile(rb"^(?:list-id:|precedence:[ \t]*(?:bulk|junk|list))", re.IGNORECASE | re.MULTILINE)

Look = tuple[set[int], list[Loaded], float | None]  # messages with something due, those that are there, when others are


class Letter:
    """A notice on its way into the queue: the new message, its rows, who is told."""

    __slots__ = ("_change", "message", "recipient")

    def __init__(self, message: Message, change: Change, recipient: bytes) -> None:
        self.message, self._change, self.recipient = message, change, recipient

    def add_to(self, change: Change) -> None:
        """It becomes durable with that change."""
        new = self._change
        change.messages, change.deliveries, change.last = new.messages, new.deliveries, new.last

    def sent(self, service: "Service") -> None:
        """It is durable."""
        if self._change.messages:
            service.unwritten -= self.message.size
            if service.send_log is not None:
                service.send_log.accepted(self.message, "bounce")
            service.accepted(self.message, self._change.deliveries)


class Telling:
    """A notice while its message waits on; kept until the disk takes it.

    told  paragraphs that it reports; None if it says that mail is late
    """

    keep = True

    def __init__(self, service: "Service", message: Message, letter: Letter | None, told: list[bytes] | None) -> None:
        self._service, self._message, self._letter, self._told = service, message, letter, told
        self._before = message.notice
        self.change: Change | None = Change()
        if letter is not None:
            letter.add_to(self.change)
        known = message.notice or NoticeRow(message.id, NEVER, delayed=False)
        if told is None:
            message.notice = known._replace(delayed=True)
        else:
            self.change.forgotten = (message.id,)
            message.failures = []
            message.notice = known._replace(due=NEVER)
        self.change.notices = (message.notice,)
        service.hold(message)

    def done(self, error: Exception | None) -> None:
        service, message, letter = self._service, self._message, self._letter
        if error is not None:  # not the disk: a defect of ours
            log.trouble("queue: a notice could not be queued, it is made again", error)
            message.failures = (self._told or []) + message.failures
            message.notice = self._before
            service.notices.expect(service.clock() + RETRY)
            service.unwritten -= letter.message.size if letter is not None else 0
        else:
            if self._told:
                service.notices.told(message, letter)
            elif letter is not None:
                log.notified(message.name, letter.message.name, letter.recipient)
            if letter is not None:
                letter.sent(service)
        service.let_go(message)


class Notices:
    """Bounces and delay notices, and when they are due."""

    def __init__(self, service: "Service", store: Store, later: Callable[[float, Callable[[], None]], Any]) -> None:
        self._service, self._store, self._later = service, store, later
        self._timer: Any = None
        self._timer_due = 0.0
        self._looking = self._stopped = False
        self._asked: set[int] = set()  # messages that are being read for a delay notice
        self.look()

    # -- failures -----------------------------------------------------------------------

    def bounce(self, message: Message, now: float) -> Letter | None:
        """The bounce that reports a message's failures so far; None if nobody can be told."""
        return self._letter(message, message.failures, self._service.bounces.failure, now)

    def promise(self, message: Message, now: float) -> Sequence[NoticeRow]:
        """A message that waits on has failures: when they are reported, if nothing is promised yet."""
        wait = self._service.bounces.report_after
        if not wait or (message.notice is not None and message.notice.due != NEVER):
            return ()
        message.notice = NoticeRow(message.id, now + wait, message.notice is not None and message.notice.delayed)
        return (message.notice,)

    def told(self, message: Message, letter: Letter | None) -> None:
        """Failures were reported, or discarded: say so."""
        send_log = self._service.send_log
        if letter is None:
            log.discarded(message.name, "a double bounce failed: there is nobody left to tell")
            if send_log is not None:
                send_log.discarded(message)
            return
        log.bounced(message.name, letter.message.name, letter.recipient)
        if send_log is not None:
            send_log.bounced(message, letter.message)

    def look(self) -> None:
        """There may be something to report now."""
        self.expect(self._service.clock())

    def stop(self) -> None:
        """No more timers."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def expect(self, due: float) -> None:
        """What was promised is durable: whoever looks finds it."""
        if self._stopped or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._later(min(max(SHORTEST, due - self._service.clock()), LONGEST), self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._looking:
            self.look()
        if self._looking or self._stopped or not self._service.bounces.report_after:
            return  # all in one, at the end
        self._looking = True
        store, now = self._store, self._service.clock()

        def look() -> Look:
            rows = store.notices(SOME)
            due = [row.message for row in rows if self._is_due(row, now)]
            following = now if len(due) == SOME else next((row.due for row in rows if row.due > now), None)
            return set(due), store.load(due), following

        self._service.writer.read(look, self._looked)

    def _looked(self, found: Look, error: Exception | None) -> None:
        self._looking = False
        service, now = self._service, self._service.clock()
        if error is not None:
            log.trouble("queue: failures to be reported can't be read, tried again soon", error)
            self.expect(now + RETRY)
            return
        due, loaded, following = found
        for number in sorted(due - {each.message.id for each in loaded}):
            log.trouble("queue: a notice about a message that is gone was removed", message_id.text(number))
            change = Change()
            change.notices = (NoticeRow(number, NEVER, delayed=False),)
            service.submit(Removing(change))
        for each in loaded:
            # one that is in memory knows of what is not committed yet
            message = service.messages.get(each.message.id) or message_of(each)
            if message.id in service.postmaster.dropped:
                continue
            if message.notice is not None and self._is_due(message.notice, now) and message.left:
                letter = self.bounce(message, now) if message.failures else None
                service.submit(Telling(service, message, letter, message.failures))
        if following is not None:
            # a timer may fire a moment early: then nothing was due, and what comes next is so by now
            self.expect(following if loaded or not due else max(following, now + RETRY))

    def _is_due(self, row: NoticeRow, now: float) -> bool:
        """What is promised for a time that nothing is promised for now was promised by a clock that was ahead."""
        return row.due <= now or now + self._service.bounces.report_after < row.due < NEVER

    # -- delays -------------------------------------------------------------------------

    def put_off(self, message: Message) -> None:
        """An attempt has failed for now: perhaps its sender should know."""
        service, now, wait = self._service, self._service.clock(), self._service.bounces.delay_notice
        if not wait or now < message_id.born(message.id) + wait or message.id in self._asked or service.clock.doubted:
            return
        if (message.notice is not None and message.notice.delayed) or not self._welcome(message):
            return
        self._asked.add(message.id)
        service.hold(message)
        store = self._store
        service.writer.read(
            lambda: store.waiting(message.id), lambda rows, error: self._late(message, rows, error)
        )  # fmt: skip

    def _welcome(self, message: Message) -> bool:
        """Whether somebody wants to read it: not bounces' senders, and not lists, who would take it for a failure."""
        if message.sender in (b"", DOUBLE) or is_verp(message.sender):
            return False
        return not _LIST.search(qsbmf.header(self._about(message).original))

    def _late(self, message: Message, rows: list[DeliveryRow], error: Exception | None) -> None:
        service = self._service
        self._asked.discard(message.id)
        if error is not None:
            log.trouble("queue: a delay notice can't be written, the next attempt makes it", error)
        elif message.left:
            public = service.routes.public
            tried = [(row, to) for row in rows if row.attempts for to in recipients(row.recipients)[0]]
            paragraphs = [qsbmf.paragraph(public(to), row.report) for row, to in tried]
            try:
                if paragraphs:
                    letter = self._letter(message, paragraphs, service.bounces.delay, service.clock())
                    service.submit(Telling(service, message, letter, None))
            except Exception as defect:  # noqa: BLE001  # the mail matters more
                log.trouble("queue: a delay notice can't be written, the next attempt makes it", repr(defect))
        service.let_go(message)

    # -- both ---------------------------------------------------------------------------

    def _about(self, message: Message) -> About:
        whole = message.content is not None
        original = message.content if message.content is not None else self._service.bodies.header(message.id)
        return About(message.sender, message_id.born(message.id), original, whole)

    def _letter(
        self,
        message: Message,
        paragraphs: list[bytes],
        write: Callable[[str, About, list[bytes], float], bytes],
        now: float,
    ) -> Letter | None:
        service = self._service
        ends = service.bounces.addressee(message.sender)
        if ends is None:
            return None
        number, ways = service.place(Envelope(ends[0], (ends[1],)), now)
        content = write(message_id.text(number), self._about(message), paragraphs, now)
        new, change = service.rows(number, ends[0], service.received(number, "bounce", now) + content, ways, now)
        return Letter(new, change, ends[1])
