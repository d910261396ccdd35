"""The store that the queue works on: a journal in front of the database.

A commit is one write to the journal, synced.  The database gets the sum of what the journal holds when that is full, when
somebody reads, and at the end: most mail is delivered before, and never touches it.

If the process ends at any instant, the next start finds in the database all that was folded into it, with the cycle that
the journal began then, and in the journal all that was committed since.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from appliance.queue.journal import SIZE, Gap, Journal, closed, following, is_closed, later
from appliance.queue.pending import Pending
from appliance.queue.record import Damaged, decode, encode
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import (
    REMOTE,
    Brought,
    Change,
    Corrupt,
    DeliveryRow,
    Listed,
    Loaded,
    NoticeRow,
    Page,
    Refused,
    Unavailable,
)  # fmt: skip


class DurableStore:
    """Raises Refused if the files can't be opened, or another process has them; Unavailable if the disk fails."""

    def __init__(
        self, database: Path, journal: Path, size: int = SIZE, keep: Callable[[str], None] | None = None
    ) -> None:
        missing = not journal.exists()
        self._database = SqliteStore(database)  # first: it keeps others out
        try:
            try:
                self._journal = Journal(journal, size)
            except OSError as error:
                raise Refused(f"{journal} can't be opened: {error}") from error
            try:
                self._recover(keep or _refuse, missing=missing)
            except BaseException:
                self._journal.close()
                raise
        except BaseException as error:
            self._database.close()
            if isinstance(error, Unavailable) and self._database.damage:
                raise Corrupt(f"{database}: {self._database.damage}") from error
            raise

    def _recover(self, keep: Callable[[str], None], *, missing: bool) -> None:
        """What an earlier process had committed and not folded."""
        self._pending = Pending()
        self._spoiled = False
        self._cycle = self._database.cycle()
        try:
            if damage := self._replay(missing=missing):
                keep(damage)
        except OSError as error:
            if isinstance(error, Refused):
                raise
            raise Refused(f"the queue's journal can't be read: {error}") from error
        self._database.begin_log()
        self._fold()
        try:
            if self._journal.fits(()):
                self._journal.append(self._cycle, ())  # from now on the first record tells how late the journal is
                self._journal.begin()
        except OSError:  # the next commit says so
            self._spoiled = True

    def _replay(self, *, missing: bool) -> str:
        """Take in what the journal has; what is missing in it. Raises OSError; Corrupt if the database is too old for it."""
        if is_closed(self._cycle):
            return ""
        head, ordered = self._journal.head(), self._database.ordered
        used = ordered and self._database.last() > 0
        if ordered and head and later(head, self._cycle):
            self._database.keep_log()
            raise Corrupt("the database is older than its journal: the last it was told is lost")
        gaps = unread = 0
        for payload in self._journal.read(self._cycle):
            if isinstance(payload, Gap):
                gaps += 1
                continue
            try:
                changes = decode(payload)
            except Damaged:
                unread += 1
                continue
            for change in changes:
                self._pending.add(change)
        if gaps or unread:
            return f"{gaps + unread} records in the middle of the journal can't be read"
        if used and (missing or head == b"" or (head and self._journal.found < self._journal.size)):
            how = "missing" if missing else "cut short" if head else "empty"
            return f"the journal is {how}: some of what was committed last is lost"
        return ""

    def _fold(self, changes: Sequence[Change] = ()) -> None:
        """Write the sum of the journal, and changes after it, into the database, and begin a new cycle."""
        cycle = following(self._cycle)
        self._spoiled = True  # a fold that fails may be on disk all the same: then what the old cycle gets is void
        self._database.commit([*self._pending.sum(), *changes], cycle)
        self._cycle, self._pending, self._spoiled = cycle, Pending(), False
        self._journal.begin()

    def on_damage(self, tell: Callable[[str], None]) -> None:
        """Call this, from any thread, when the database turns out to be damaged."""
        self._database.damaged = tell

    def commit(self, changes: Sequence[Change]) -> None:
        self._pending.check(changes)
        pieces = encode(changes)
        if self._spoiled or not self._journal.fits(pieces):
            self._fold()
            if not self._journal.fits(pieces):
                self._fold(changes)
                return
        try:
            self._journal.append(self._cycle, pieces)
        except OSError as error:
            # it may be on disk all the same: only a new cycle makes it void
            self._spoiled = True
            raise Unavailable(f"journal: {error}") from error
        for change in changes:
            self._pending.add(change)

    def _whole(self) -> SqliteStore:
        """The database with everything in it."""
        if self._pending:
            self._fold()
        return self._database

    def due(
        self, channel: int, after: tuple[float, int], now: float, limit: int, without: Collection[bytes] = ()
    ) -> Page:
        # often asked while mail flows: what the journal holds is added, not folded
        rows, end, more = self._database.due(channel, after, now, limit, without)
        others = frozenset(without)
        rows = self._pending.over(
            rows,
            lambda d: (
                d.channel == channel and after < (d.due, d.id) <= end and d.due <= now and d.destination not in others
            ),
        )
        if len(rows) > limit:
            rows = rows[:limit]
            end, more = (rows[-1].due, rows[-1].id), True
        return Page(rows, end, more)

    def due_to(self, destination: bytes, now: float, limit: int) -> list[DeliveryRow]:
        rows = self._database.due_to(destination, now, limit + self._pending.touched)
        return self._pending.over(
            rows, lambda d: d.channel == REMOTE and d.destination == destination and d.due <= now
        )[:limit]

    def destinations(self, now: float, limit: int) -> list[bytes] | None:
        names = self._database.destinations(now, limit)
        if names is None:
            return None
        own = self._pending.over((), lambda d: d.channel == REMOTE and d.due <= now)
        return list(dict.fromkeys([*names, *(row.destination for row in own)]))

    def next_due(self, channel: int, now: float) -> float | None:
        dues = [row.due for row in self._pending.over((), lambda d: d.channel == channel and d.due > now)[:1]]
        stored = self._database.next_due(channel, now)  # perhaps of a row that is done: then somebody looks in vain
        return min(dues if stored is None else [*dues, stored], default=None)

    def load(self, messages: Iterable[int]) -> list[Loaded]:
        wanted = list(messages)
        loaded = self._database.load(wanted)
        if len(loaded) == len(wanted) and self._pending.leaves([found.message for found in loaded]):
            return loaded
        return self._whole().load(wanted)

    def waiting(self, message: int) -> list[DeliveryRow]:
        return sorted(self._pending.over(self._database.waiting(message), lambda d: d.message == message))

    def notices(self, limit: int) -> list[NoticeRow]:
        return self._pending.notices(self._database.notices(limit + self._pending.noticed), limit)

    def bring_forward(self, after: int, due: float, limit: int) -> Brought:
        return self._whole().bring_forward(after, due, limit)

    def listing(self, after: int, limit: int) -> list[Listed]:
        return self._whole().listing(after, limit)

    def show(self, message: int) -> tuple[Listed, bytes | None, list[bytes]] | None:
        return self._whole().show(message)

    def astray(self, after: int, limit: int) -> tuple[int, list[DeliveryRow]]:
        return self._whole().astray(after, limit)

    def contains(self, message: int) -> bool:
        return self._whole().contains(message)

    def count(self) -> int:
        return self._whole().count()

    def used(self) -> int:
        return self._database.used()

    def last(self) -> int:
        return max(self._pending.last, self._whole().last())

    def unreadable(self) -> int:
        """Records of the journal that this process wrote and that can't be read any more. Raises OSError."""
        return self._journal.unreadable(self._cycle)

    def untidy(self) -> bool:
        return self._journal.used > self._journal.size * 3 // 4 or self._database.untidy()

    def tidy(self, idle: bool) -> None:
        size = self._journal.size
        if self._journal.used > (size // 8 if idle else size * 3 // 4):
            self._fold()
        self._database.tidy(idle)

    def close(self) -> None:
        """Fold what is left, so that the database alone is the queue; the journal is there if that fails."""
        try:
            self._database.commit(self._pending.sum(), closed(self._cycle))
        finally:
            self._journal.close()
            self._database.close()


def _refuse(damage: str) -> None:
    raise Corrupt(damage)
