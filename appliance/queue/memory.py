"""The store in memory: the same verbs without a disk, for tests and for comparison."""

from collections.abc import Callable, Collection, Iterable, Sequence

from appliance.queue.store import (
    LAST,
    NEVER,
    REMOTE,
    Brought,
    Change,
    DeliveryRow,
    Listed,
    Loaded,
    MessageRow,
    NoticeRow,
    Page,
)  # fmt: skip


class MemoryStore:
    """Forgets everything when the process ends."""

    def __init__(self) -> None:
        self._messages: dict[int, MessageRow] = {}
        self._deliveries: dict[int, DeliveryRow] = {}
        self._failures: list[tuple[int, bytes]] = []
        self._notices: dict[int, NoticeRow] = {}
        self._last = 0

    def commit(self, changes: Sequence[Change]) -> None:
        messages, deliveries = dict(self._messages), dict(self._deliveries)
        failures = list(self._failures)
        for change in changes:
            for message in change.messages:
                if message.id in messages:
                    raise ValueError(f"message {message.id} is there already")
                messages[message.id] = message
            for delivery in change.deliveries:
                if delivery.id in deliveries:
                    raise ValueError(f"delivery {delivery.id} is there already")
                deliveries[delivery.id] = delivery
        for change in changes:
            for row in change.updates:
                if row.id in deliveries:
                    deliveries[row.id] = deliveries[row.id]._replace(
                        due=row.due, attempts=row.attempts, recipients=row.recipients, report=row.report
                    )
            failures += change.failures
            failures = [f for f in failures if f[0] not in change.forgotten]
            self._notices |= {row.message: row for row in change.notices}
        for change in changes:
            for number in change.done:
                deliveries.pop(number, None)
            for number in change.finished:
                messages.pop(number, None)
        self._messages, self._deliveries, self._failures = messages, deliveries, failures
        self._last = max([self._last, *(c.last for c in changes)])

    def _find(self, wanted: Callable[[DeliveryRow], bool]) -> list[DeliveryRow]:
        return sorted(filter(wanted, self._deliveries.values()), key=lambda d: (d.due, d.id))

    def due(
        self, channel: int, after: tuple[float, int], now: float, limit: int, without: Collection[bytes] = ()
    ) -> Page:
        rows = self._find(lambda d: d.channel == channel and (d.due, d.id) > after and d.due <= now)
        rows = [row for row in rows if row.destination not in without][:limit]
        return Page(rows, (rows[-1].due, rows[-1].id), True) if len(rows) == limit else Page(rows, (now, LAST), False)

    def due_to(self, destination: bytes, now: float, limit: int) -> list[DeliveryRow]:
        return self._find(lambda d: d.channel == REMOTE and d.destination == destination and d.due <= now)[:limit]

    def destinations(self, now: float, limit: int) -> list[bytes] | None:
        remote = [d for d in self._deliveries.values() if d.channel == REMOTE]
        if len({d.destination for d in remote}) > limit:
            return None
        return sorted({d.destination for d in remote if d.due <= now})

    def next_due(self, channel: int, now: float) -> float | None:
        return min((d.due for d in self._deliveries.values() if d.channel == channel and d.due > now), default=None)

    def load(self, messages: Iterable[int]) -> list[Loaded]:
        return [
            Loaded(self._messages[m], len(self._of(m)), self._failures_of(m), self._notices.get(m) or None)
            for m in messages
            if m in self._messages
        ]

    def waiting(self, message: int) -> list[DeliveryRow]:
        return self._of(message)

    def notices(self, limit: int) -> list[NoticeRow]:
        waiting = (row for row in self._notices.values() if row.due < NEVER)
        return sorted(waiting, key=lambda row: (row.due, row.message))[:limit]

    def bring_forward(self, after: int, due: float, limit: int) -> Brought:
        ids = sorted(number for number in self._deliveries if number > after)[:limit]
        later = [number for number in ids if due < self._deliveries[number].due < NEVER]
        self._deliveries |= {number: self._deliveries[number]._replace(due=due) for number in later}
        return Brought(ids[-1] if len(ids) == limit else 0, len(later))

    def _of(self, message: int) -> list[DeliveryRow]:
        return sorted(d for d in self._deliveries.values() if d.message == message)

    def _failures_of(self, message: int) -> list[bytes]:
        return [text for owner, text in self._failures if owner == message]

    def listing(self, after: int, limit: int) -> list[Listed]:
        return [self._listed(m) for m in sorted(m for m in self._messages if m > after)[:limit]]

    def _listed(self, message: int) -> Listed:
        row = self._messages[message]._replace(content=None)
        return Listed(row, self._of(message), len(self._failures_of(message)))

    def show(self, message: int) -> tuple[Listed, bytes | None, list[bytes]] | None:
        if message not in self._messages:
            return None
        return self._listed(message), self._messages[message].content, self._failures_of(message)

    def astray(self, after: int, limit: int) -> tuple[int, list[DeliveryRow]]:
        ids = sorted(number for number in self._deliveries if number > after)[:limit]
        rows = [row for number in ids if (row := self._deliveries[number]).message not in self._messages]
        return ids[-1] if len(ids) == limit else 0, rows

    def contains(self, message: int) -> bool:
        return message in self._messages

    def count(self) -> int:
        return len(self._messages)

    def used(self) -> int:
        return sum(row.size for row in self._messages.values())

    def last(self) -> int:
        return max([self._last, *self._deliveries])

    def untidy(self) -> bool:
        return False

    def tidy(self, idle: bool) -> None:
        pass

    def close(self) -> None:
        pass
