"""What a bug of an older version may have left in the queue; it ends, and never in silence.

a message without deliveries whose failures nobody was told of   its sender gets the bounce
a message without deliveries, and nothing else                   the postmaster gets the beginning of it
deliveries without a message                                     the postmaster gets whom they were for, many in a letter
"""

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from appliance import log, message_id
from appliance.envelope import Envelope
from appliance.queue.held import Message, message_of
from appliance.queue.notices import Letter
from appliance.queue.rescue import letter, parts
from appliance.queue.schedule import timestamp
from appliance.queue.store import NEVER, Change, DeliveryRow, Loaded, NoticeRow

if TYPE_CHECKING:
    from appliance.queue.service import Service

TOGETHER = 1.0  # seconds for which more deliveries may come into the same letter
MANY = 1000  # of them in one letter at most

MESSAGE = """\
The message {name}, accepted {born} from <{sender}>,
was in the queue without a recipient left and had not ended. Its recipients have it, or not: nobody knows.
It is out of the queue now.
"""
DELIVERIES = """\
These deliveries were in the queue without the message that they belong to. What it said is lost; those who
are named here may not have it. They are out of the queue now.

{each}
"""


class Ending:
    """Something ends, in the commit that queues the letter about it; kept until the disk takes it.

    letter  None: there is nobody left to tell
    """

    keep = True

    def __init__(self, service: "Service", change: Change, about: Letter | None, after: Callable[[], None]) -> None:
        self._service, self._letter, self._after = service, about, after
        self.change: Change | None = change
        if about is not None:
            about.add_to(change)

    def done(self, error: Exception | None) -> None:
        if error is not None:  # not the disk: a defect of ours
            log.trouble("queue: what is astray could not be ended", error)
            self._service.unwritten -= self._letter.message.size if self._letter is not None else 0
            return
        if self._letter is not None:
            self._letter.sent(self._service)
        self._after()


class Astray:
    """What has been found, and what ends just now: none of it twice."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._rows: dict[int, DeliveryRow] = {}
        self._ending: set[int] = set()  # ids of messages and deliveries

    def end(self, found: Loaded) -> str:
        """A message without deliveries; what becomes of it. Nothing: it is in somebody's hands."""
        service, number = self._service, found.message.id
        if number in service.messages or number in self._ending:
            return ""
        message, change = message_of(found), Change(finished=(number,))
        change.forgotten, change.notices = change.finished, (NoticeRow(number, NEVER, delayed=False),)
        if message.failures:
            about = service.notices.bounce(message, service.clock())
        else:
            about = self._to_postmaster("A message was astray in the queue", *_of_message(service, message))
        self._ending.add(number)
        service.submit(Ending(service, change, about, lambda: self._ended(message, about)))
        return "its sender gets the bounce" if message.failures else "the postmaster gets it"

    def _ended(self, message: Message, about: Letter | None) -> None:
        service = self._service
        self._ending.discard(message.id)
        service.count -= 1
        if message.failures:
            service.notices.told(message, about)
        log.finished(message.name, service.clock() - message_id.born(message.id))
        if message.content is None:
            service.bodies.remove(message.id)

    def found(self, row: DeliveryRow) -> None:
        """A delivery without a message: with the others of this moment it ends."""
        if row.id in self._ending:
            return
        if not self._rows:
            self._service.later(TOGETHER, self._end_deliveries)
        self._rows[row.id] = row

    def _end_deliveries(self) -> None:
        rows = list(islice(self._rows.values(), MANY))
        each = "\n".join(map(in_words, rows))
        log.trouble(f"queue: {len(rows)} deliveries without a message end, the postmaster is told whose", rows[0].id)
        about = self._to_postmaster("Deliveries were astray in the queue", DELIVERIES.format(each=each), b"")
        ids = {row.id for row in rows}
        for number in ids:
            del self._rows[number]
        self._ending |= ids
        self._service.submit(
            Ending(self._service, Change(done=sorted(ids)), about, lambda: self._ending.difference_update(ids))
        )
        if self._rows:
            self._service.later(TOGETHER, self._end_deliveries)

    def _to_postmaster(self, subject: str, text: str, content: bytes) -> Letter:
        service, now = self._service, self._service.clock()
        sender, recipient, whole = letter.compose(service.bounces, subject, text, content, now)
        number, ways = service.place(Envelope(sender, (recipient,)), now)
        new, change = service.rows(number, sender, service.received(number, "bounce", now) + whole, ways, now)
        return Letter(new, change, recipient)


def in_words(row: DeliveryRow) -> str:
    """Whom a delivery was for."""
    born = timestamp(message_id.born(row.message))
    return f"message {message_id.text(row.message)}, accepted {born}, to {parts.addresses(row.recipients) or 'nobody'}"


def _of_message(service: "Service", message: Message) -> tuple[str, bytes]:
    text = MESSAGE.format(
        name=message.name,
        born=timestamp(message_id.born(message.id)),
        sender=message.sender.decode("utf-8", "backslashreplace"),
    )
    return text, message.content if message.content is not None else service.bodies.header(message.id)
