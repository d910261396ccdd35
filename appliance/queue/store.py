"""What the queue asks of a store: a few verbs, and the rows they are about.

A store is used by one thread at a time.  `commit` and `bring_forward` write; all changes of a call
become durable together, or none does.
"""

from collections.abc import Collection, Iterable, Sequence
from math import inf
from typing import NamedTuple, Protocol

LAST = (1 << 63) - 1  # no id is higher
LOCAL, REMOTE = 0, 1  # channels
CHANNELS = ("local", "remote")
NEVER = inf  # when nothing has to be reported, and what is held is tried


class Unavailable(OSError):
    """The store can't write or read now (full, broken disk); nothing of the change was kept."""


class Refused(OSError):
    """The store can't be opened at all; says why."""


class Corrupt(Refused):
    """The store's files are damaged: they are to be set aside; says what was found."""


class MessageRow(NamedTuple):
    """A message: `deliveries` rows with the ids that follow its own; no content means a body file."""

    id: int
    sender: bytes
    size: int
    deliveries: int
    content: bytes | None


class DeliveryRow(NamedTuple):
    """Some recipients of one message that go the same way.

    due         seconds since 1970
    recipients  qmail's records: `T` address NUL still to be tried, `D` address NUL done
    report      what the last attempt said
    """

    id: int
    message: int
    channel: int
    destination: bytes
    due: float
    attempts: int
    recipients: bytes
    report: bytes


class NoticeRow(NamedTuple):
    """What the sender of a message that still waits is to be told, or was; with neither there is no row.

    due      when its failures so far must be reported (seconds since 1970), or NEVER
    delayed  the sender was told that it waits
    """

    message: int
    due: float
    delayed: bool

    def __bool__(self) -> bool:
        return self.due != NEVER or self.delayed


class Change:
    """What one request or report changes, as rows; applied whole or not at all."""

    __slots__ = ("deliveries", "done", "failures", "finished", "forgotten", "last", "messages", "notices", "updates")

    def __init__(
        self,
        messages: Sequence[MessageRow] = (),
        deliveries: Sequence[DeliveryRow] = (),
        done: Sequence[int] = (),
        finished: Sequence[int] = (),
        last: int = 0,
    ) -> None:
        self.messages = messages
        self.deliveries = deliveries
        self.done = done  # deliveries with nobody left to try
        self.finished = finished  # messages with no delivery left
        self.last = last  # the highest id given out so far (guarantee 8)
        self.updates: Sequence[DeliveryRow] = ()  # due, attempts, recipients, report change
        self.failures: Sequence[tuple[int, bytes]] = ()  # message, paragraph for its bounce
        self.forgotten: Sequence[int] = ()  # messages whose failures, these too, are in a bounce now
        self.notices: Sequence[NoticeRow] = ()  # as they are from now on


class Loaded(NamedTuple):
    """A message read back for another attempt: how many deliveries are left, failures not reported yet."""

    message: MessageRow
    left: int
    failures: list[bytes]
    notice: NoticeRow | None


class Page(NamedTuple):
    """Some due deliveries; all that are due up to the pair `end` have been looked at.

    more  there may be others after `end`
    """

    rows: list[DeliveryRow]
    end: tuple[float, int]
    more: bool


class Brought(NamedTuple):
    """Some deliveries were looked at, up to the id `end` (0: all of them); so many of them are due sooner now."""

    end: int
    moved: int


class Listed(NamedTuple):
    """A message for people to look at, without its content."""

    message: MessageRow
    deliveries: list[DeliveryRow]
    failures: int


class Store(Protocol):
    """Raises Unavailable from any verb when the disk fails."""

    def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes in one durable transaction, or none."""

    def due(
        self, channel: int, after: tuple[float, int], now: float, limit: int, without: Collection[bytes] = ()
    ) -> Page:
        """Deliveries due by `now`, ordered by (due, id), after that pair; those to some destinations may be left out."""

    def due_to(self, destination: bytes, now: float, limit: int) -> list[DeliveryRow]:
        """Remote deliveries to one destination that are due by `now`, in order."""

    def destinations(self, now: float, limit: int) -> list[bytes] | None:
        """Remote destinations to which something is due by `now`; None if mail waits for more than `limit` in all."""

    def next_due(self, channel: int, now: float) -> float | None:
        """When the first delivery after `now` falls due."""

    def load(self, messages: Iterable[int]) -> list[Loaded]:
        """Messages with content, for another attempt; those that are gone are left out."""

    def waiting(self, message: int) -> list[DeliveryRow]:
        """The deliveries of a message."""

    def notices(self, limit: int) -> list[NoticeRow]:
        """Those with something to report, the earliest first."""

    def bring_forward(self, after: int, due: float, limit: int) -> Brought:
        """Let deliveries fall due then that would later: the next ones after an id, in its order."""

    def listing(self, after: int, limit: int) -> list[Listed]:
        """Messages in order of id, those after the given one."""

    def show(self, message: int) -> tuple[Listed, bytes | None, list[bytes]] | None:
        """One message with content and failures."""

    def astray(self, after: int, limit: int) -> tuple[int, list[DeliveryRow]]:
        """The id of the next deliveries' last one after an id, 0 at the end; and those of them whose message is gone."""

    def contains(self, message: int) -> bool:
        """Whether a message is in the queue."""

    def count(self) -> int:
        """Messages in the queue."""

    def used(self) -> int:
        """Bytes that all it keeps takes, about."""

    def last(self) -> int:
        """The highest id ever given out."""

    def untidy(self) -> bool:
        """Housekeeping is overdue."""

    def tidy(self, idle: bool) -> None:
        """Housekeeping when convenient (idle) or overdue (not idle)."""

    def close(self) -> None:
        """Let go of the files."""


def records(left: Iterable[bytes], done: Iterable[bytes] = ()) -> bytes:
    """Recipients as the store keeps them."""
    return b"".join([b"T" + r + b"\0" for r in left] + [b"D" + r + b"\0" for r in done])


def recipients(data: bytes) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Those still to be tried, and those done."""
    found = data.split(b"\0")[:-1]
    return tuple([r[1:] for r in found if r[:1] == b"T"]), tuple([r[1:] for r in found if r[:1] == b"D"])
