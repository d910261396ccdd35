"""What the writer makes durable, and what is done then: answers, leases, log lines."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance import log, message_id
from appliance.enqueue import NO_ROOM
from appliance.envelope import Envelope
from appliance.message import qsbmf
from appliance.queue.held import Held, Message
from appliance.queue.leases import Channel
from appliance.queue.notices import Letter
from appliance.queue.outcome import Outcome
from appliance.queue.schedule import timestamp
from appliance.queue.store import NEVER, Change, NoticeRow
from appliance.route import Routes

if TYPE_CHECKING:
    from appliance.queue.service import Service

LATER = b"Zthe queue can't write now"
FULL = b"Z" + NO_ROOM


class Answering:
    """A refusal that waits for its turn among the answers."""

    __slots__ = ("_answer", "_text", "change")
    keep = False

    def __init__(self, answer: Callable[[bytes], None], text: bytes) -> None:
        self.change: Change | None = None
        self._answer, self._text = answer, text

    def done(self, error: Exception | None) -> None:  # noqa: ARG002  # nothing was written
        self._answer(self._text)


class Accepting:
    """A message on its way in."""

    __slots__ = ("_answer", "_letter", "_message", "_role", "_service", "change")
    keep = False

    def __init__(
        self,
        service: "Service",
        role: str,
        answer: Callable[[bytes], None],
        letter: Envelope,
        message: Message,
        change: Change,
    ) -> None:
        self._service, self._role, self._answer = service, role, answer
        self._letter, self._message = letter, message
        self.change: Change | None = change

    def done(self, error: Exception | None) -> None:
        service, message, change = self._service, self._message, self.change
        assert change is not None
        if change.messages:
            service.unwritten -= message.size
        if error is not None:
            if message.content is None:
                service.bodies.remove(message.id)
            self._answer(LATER)
            return
        name = message.name
        self._answer(b"K" + name.encode())
        if service.send_log is not None:
            service.send_log.accepted(message, self._role)
        if self._role not in ("smtpd", "qmtpd"):  # they log it themselves
            log.queued(name, self._role, self._letter.sender, len(self._letter.recipients), message.size)
        if change.messages:
            service.accepted(message, change.deliveries)
        else:
            log.finished(name, 0.0)
            if service.send_log is not None:
                service.send_log.finished(message)
            if message.content is None:
                service.bodies.remove(message.id)


class Reporting:
    """An attempt that has ended; kept until the disk takes it, for the delivery has happened."""

    __slots__ = ("_born", "_bounce", "_channel", "_delivery", "_ended", "_outcome", "_service", "change")
    keep = True

    def __init__(
        self, service: "Service", channel: Channel, delivery: Held, change: Change, outcome: Outcome | None = None
    ) -> None:
        self._service, self._channel, self._delivery, self._outcome = service, channel, delivery, outcome
        self.change: Change | None = change
        self._ended = 0.0
        self._bounce: Letter | None = None

    def settle(self, due: float, routes: Routes) -> None:
        """Write down what was done, what failed, and when the rest is tried again."""
        delivery, outcome, change = self._delivery, self._outcome, self.change
        assert outcome is not None and change is not None  # noqa: PT018  # for the types
        message = delivery.message
        paragraphs = [qsbmf.paragraph(routes.public(recipient), text) for recipient, text in outcome.failed]
        whole = max(0, qsbmf.WHOLE - len(message.failures))
        paragraphs[whole:] = map(qsbmf.short, paragraphs[whole:])  # with thousands of them memory stays flat
        message.failures += paragraphs
        change.failures = [(message.id, text) for text in paragraphs]
        delivery.attempts += 1
        if outcome.deferred:
            delivery.done += (*outcome.done, *(recipient for recipient, _ in outcome.failed))
            delivery.left = tuple([recipient for recipient, _ in outcome.deferred])
            delivery.due = due
            change.updates = (delivery.row(self._channel.number, outcome.deferred[-1][1]),)
        else:
            change.done = (delivery.id,)

    def wait(self, now: float) -> None:
        """Others are left to try: what has failed is reported in time all the same (guarantee 5)."""
        message = self._delivery.message
        if message.failures and self.change is not None:
            self.change.notices = self._service.notices.promise(message, now)

    def finish(self, now: float) -> None:
        """Nobody is left to try: the message ends, with its bounce if there are failures (guarantee 5)."""
        message, change = self._delivery.message, self.change
        assert change is not None
        self._ended = now
        change.finished = (message.id,)
        if message.notice is not None:
            change.notices = (NoticeRow(message.id, NEVER, delayed=False),)
        if message.failures:
            change.forgotten = change.finished
            self._bounce = self._service.notices.bounce(message, now)
            if self._bounce is not None:
                self._bounce.add_to(change)

    def done(self, error: Exception | None) -> None:
        service, delivery, change = self._service, self._delivery, self.change
        assert change is not None
        message = delivery.message
        if error is not None:  # not the disk: a defect of ours.  It stays in the queue until a restart
            log.trouble("queue: a report could not be kept, the delivery will be repeated", error)
            message.left += 1 if change.done else 0
            service.release(self._channel, delivery)
            return
        service.release(self._channel, delivery)
        if self._outcome is not None:
            self._log(self._outcome)
        if change.notices and not change.finished:
            service.notices.expect(change.notices[0].due)
        if change.updates:
            service.feeds[self._channel.number].expect(delivery.due)
            service.notices.put_off(message)
            service.postmaster.put_off(message.id, delivery.due)
        if change.finished:
            service.count -= 1
            name = message.name
            if message.failures:
                service.notices.told(message, self._bounce)
            log.finished(name, self._ended - message_id.born(message.id))
            if service.send_log is not None:
                service.send_log.finished(message)
            if self._bounce is not None:
                self._bounce.sent(service)
            if message.content is None:
                service.bodies.remove(message.id)

    def _log(self, outcome: Outcome) -> None:
        public = self._service.routes.public  # the address as the sender wrote it
        name, attempt = self._delivery.message.name, self._delivery.attempts
        for recipient, text in outcome.failed:
            log.failed(name, public(recipient), attempt, text)
        if outcome.deferred:
            again = timestamp(self._delivery.due)
            for recipient, text in outcome.deferred:
                log.deferred(name, public(recipient), attempt, text, again)
