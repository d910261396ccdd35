"""What is in the journal and not yet in the database, as the sum of its changes.  Pure.

A message that comes and goes in the meantime cancels out: nothing of it is left to be written.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from appliance.queue.store import NEVER, Change, DeliveryRow, MessageRow, NoticeRow


class Pending:
    """The sum of some changes to a database."""

    def __init__(self) -> None:
        self._messages: dict[int, MessageRow] = {}
        self._deliveries: dict[int, DeliveryRow] = {}
        self._updates: dict[int, DeliveryRow] = {}  # the database's rows, as the failures and numbers below
        self._failures: list[tuple[int, bytes]] = []
        self._forgotten: list[int] = []
        self._notices: dict[int, NoticeRow] = {}
        self._done: list[int] = []
        self._finished: list[int] = []
        self.last = 0

    def check(self, changes: Sequence[Change]) -> None:
        """Raises ValueError if a message or a delivery would be there twice."""
        for known, ids in (
            (self._messages, [row.id for change in changes for row in change.messages]),
            (self._deliveries, [row.id for change in changes for row in change.deliveries]),
        ):
            if not known.keys().isdisjoint(ids) or len(set(ids)) < len(ids):
                raise ValueError(f"there already, or twice: one of {ids[:10]}")

    def add(self, change: Change) -> None:
        """Take in a change."""
        messages, deliveries = self._messages, self._deliveries
        for message in change.messages:
            messages[message.id] = message
        for row in change.deliveries:
            deliveries[row.id] = row
        for row in change.updates:
            (deliveries if row.id in deliveries else self._updates)[row.id] = row
        if change.failures:
            self._failures += change.failures
        for number in change.forgotten:
            self._failures = [failure for failure in self._failures if failure[0] != number]
            if number not in messages:
                self._forgotten.append(number)
        for notice in change.notices:
            if notice or notice.message not in messages:
                self._notices[notice.message] = notice
            else:
                self._notices.pop(notice.message, None)
        for number in change.done:
            if deliveries.pop(number, None) is None:
                self._updates.pop(number, None)
                self._done.append(number)
        for number in change.finished:
            if messages.pop(number, None) is None:
                self._finished.append(number)
        self.last = max(self.last, change.last)

    def __bool__(self) -> bool:
        """Whether the database would change, but for the highest id."""
        return bool(
            self._messages or self._deliveries or self._updates or self._failures
            or self._forgotten or self._notices or self._done or self._finished
        )  # fmt: skip

    @property
    def touched(self) -> int:
        """How many of the database's deliveries change, at most."""
        return len(self._done) + len(self._updates)

    def leaves(self, messages: Sequence[MessageRow]) -> bool:
        """Whether of these, as the database has them, none ends, gets a failure or a notice, and no delivery of theirs ends."""
        done = set(self._done)
        changed = {*self._finished, *self._forgotten, *self._notices, *(number for number, _ in self._failures)}
        return all(
            row.id not in changed and done.isdisjoint(range(row.id + 1, row.id + 1 + row.deliveries))
            for row in messages
        )

    def over(self, rows: Iterable[DeliveryRow], wanted: Callable[[DeliveryRow], bool]) -> list[DeliveryRow]:
        """Those of the database's rows that these changes leave as they are, and the changes' own that are wanted."""
        touched = {*self._done, *self._updates}
        own = filter(wanted, chain(self._deliveries.values(), self._updates.values()))
        return sorted([*(row for row in rows if row.id not in touched), *own], key=lambda row: (row.due, row.id))

    def notices(self, rows: Sequence[NoticeRow], limit: int) -> list[NoticeRow]:
        """The first of the database's, as these changes leave them, and of the changes' own; `rows` has as many more as they touch."""
        waiting = (row for row in ({row.message: row for row in rows} | self._notices).values() if row.due < NEVER)
        return sorted(waiting, key=lambda row: (row.due, row.message))[:limit]

    @property
    def noticed(self) -> int:
        """How many of the database's notices change, at most."""
        return len(self._notices)

    def sum(self) -> list[Change]:
        """Changes that do to the database what all of them would have done."""
        before = Change()
        before.forgotten = self._forgotten  # failures that came later stay
        messages, deliveries = list(self._messages.values()), list(self._deliveries.values())
        change = Change(messages, deliveries, self._done, self._finished, self.last)
        change.updates = list(self._updates.values())
        change.failures, change.notices = self._failures, list(self._notices.values())
        return [before, change]
