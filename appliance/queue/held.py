"""What is in memory of messages and deliveries, and the workers that have them in hand."""

from collections.abc import Callable

from appliance import lease, message_id
from appliance.queue.store import DeliveryRow, Loaded, NoticeRow, records


class Message:
    """What the deliveries of one message in memory share."""

    __slots__ = ("content", "deliveries", "failures", "held", "id", "left", "name", "notice", "sender", "size")

    def __init__(
        self,
        id_: int,
        sender: bytes,
        size: int,
        content: bytes | None,
        left: int,
        failures: list[bytes],
        notice: NoticeRow | None = None,
    ) -> None:
        self.id = id_
        self.name = message_id.text(id_)
        self.sender = sender
        self.size = size
        self.content = content
        self.left = left  # deliveries not finished, in memory or on disk
        self.failures = failures  # paragraphs for the next bounce
        self.notice = notice
        self.held = 0  # deliveries in memory, and notices under way


def message_of(loaded: Loaded) -> Message:
    """A message that was read back."""
    row = loaded.message
    return Message(row.id, row.sender, row.size, row.content, loaded.left, loaded.failures, loaded.notice)


class Held:
    """A delivery in memory: ready, leased, or reported and being committed."""

    __slots__ = (
        "attempts", "destination", "done", "due", "id", "left", "message", "returns", "started", "worker",
    )  # fmt: skip

    def __init__(
        self, id_: int, message: Message, destination: bytes, attempts: int, left: tuple[bytes, ...], due: float
    ) -> None:
        self.id = id_
        self.message = message
        self.destination = destination
        self.attempts = attempts  # finished ones
        self.left = left
        self.done: tuple[bytes, ...] = ()
        self.due = due
        self.started = 0.0
        self.returns = 0
        self.worker: Worker | None = None

    def row(self, channel: int, report: bytes) -> DeliveryRow:
        """As the store keeps it."""
        return DeliveryRow(
            self.id, self.message.id, channel, self.destination, self.due, self.attempts,
            records(self.left, self.done), report,
        )  # fmt: skip


class Worker:
    """A program that delivers, behind a lease connection; process: its id."""

    __slots__ = ("_outgoing", "_send", "_weight", "credit", "full", "leased", "process")

    def __init__(self, send: Callable[[list[bytes]], None], process: int = 0) -> None:
        self._send = send
        self.process = process
        self._outgoing: list[bytes] = []
        self._weight = 0  # bytes of them
        self.credit = 0
        self.full = False  # it has enough that it has not read yet; `send` may find that out
        self.leased: dict[int, Held] = {}

    @property
    def hungry(self) -> bool:
        """Whether it can be given something."""
        return self.credit > 0 and not self.full

    def give(self, delivery: Held, now: float) -> None:
        """Lease a delivery to it."""
        delivery.worker = self
        delivery.started = now
        self.leased[delivery.id] = delivery
        self.credit -= 1
        message = delivery.message
        self._outgoing += lease.delivery_pieces(
            lease.Delivery(
                delivery.id, message.id, delivery.attempts + 1, delivery.destination,
                message.sender, delivery.left, message.size, message.content,
            )
        )  # fmt: skip
        self._weight += len(message.content or b"")

    def serve(self, enough: int = 0) -> None:
        """Send what it was given, if that is more than enough."""
        if self._outgoing and self._weight >= enough:
            outgoing, self._outgoing, self._weight = self._outgoing, [], 0
            self._send(outgoing)
