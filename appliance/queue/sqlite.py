"""The store on disk: SQLite in WAL mode, synchronous=FULL, one connection that owns the file."""

# ruff: noqa: S608  # statements are put together from constants
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from appliance import safeio
from appliance.queue.rows import apply
from appliance.queue.store import (
    LAST,
    NEVER,
    Brought,
    Change,
    Corrupt,
    DeliveryRow,
    Listed,
    Loaded,
    MessageRow,
    NoticeRow,
    Page,
    Refused,
    Unavailable,
)  # fmt: skip
from appliance.queue.tables import DESTINATIONS, ORDERED, PAGE, prepare

SOME = 2 * 1024 * 1024  # bytes of log that a quiet moment is used for
WINDOW = 10_000  # rows that one look for what is due passes at most
NAMES = 1000  # destinations that it leaves out at most
MUCH = 24 * 1024 * 1024  # bytes of log that can't wait for one

_DELIVERY = "id, message, channel, destination, due, attempts, recipients, report"
_LOAD = "SELECT m.*, n.due, n.delayed FROM message m LEFT JOIN notice n ON n.message = m.id WHERE m.id=?"
# what comes after one row, in two steps: SQLite does not use the index for (due, id) > (?, ?) as a whole
_AT, _LATER = ("channel=? AND " + where + " ORDER BY due, id" for where in ("due=? AND id>?", "due>? AND due<=?"))
# what the disk does to us, as opposed to what we do to the database
_DAMAGE = (apsw.CorruptError, apsw.NotADBError)
_DISK = (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.NoMemError, *_DAMAGE,
         apsw.BusyError, apsw.LockedError)  # fmt: skip


class SqliteStore:
    """The durable store. Raises Refused if the file can't be opened or another process has it, Corrupt if it is damaged.

    damaged  called when damage is found in use, with what SQLite says; what asked raises Unavailable
    """

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self._log_bytes = 0
        self.damage = ""  # what was found last
        self.damaged: Callable[[str], None] = lambda _: None
        try:
            self._connection = apsw.Connection(str(path), vfs=vfs)
            try:
                self._open()
                with suppress(FileNotFoundError):
                    safeio.write_again(f"{path}-wal")  # what was read from it just now may be on no disk
            except BaseException:
                self._connection.close()
                raise
        except apsw.BusyError as error:
            raise Refused(f"{path} is in use by another process") from error
        except _DAMAGE as error:
            raise Corrupt(f"{path} can't be opened: {error}") from error
        except apsw.Error as error:
            raise Refused(f"{path} can't be opened: {error}") from error
        self._cursor = self._connection.cursor()

    def _open(self) -> None:
        connection = self._connection
        self.keep_log()  # for what turns out to be damaged stays as it is
        version = prepare(connection)
        self.ordered = version >= ORDERED
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        # setting a hook turns automatic checkpoints off; ours are in tidy()
        connection.set_wal_hook(self._log_grew)

    def _log_grew(self, _connection: object, _name: str, pages: int) -> int:
        self._log_bytes = pages * PAGE
        return 0

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except _DISK as error:
            if isinstance(error, _DAMAGE):
                self.keep_log()
                self.damage = str(error)
                self.damaged(self.damage)
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    def commit(self, changes: Sequence[Change], cycle: bytes | None = None) -> None:
        """As the others' commit; in the same transaction the journal's new cycle."""
        run = self._cursor.execute
        with self._disk_errors():
            if self._connection.in_transaction:  # a roll-back failed with the disk
                run("ROLLBACK")
            run("BEGIN IMMEDIATE")
            try:
                apply(self._connection, self._cursor, changes)
                if cycle is not None:
                    run("UPDATE journal SET cycle=?", (cycle,))
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    with suppress(apsw.Error):  # the first error is the one to tell
                        run("ROLLBACK")
                raise

    def due(
        self, channel: int, after: tuple[float, int], now: float, limit: int, without: Collection[bytes] = ()
    ) -> Page:
        rows: list[DeliveryRow] = []
        names = json.dumps([name.decode("latin-1") for name in islice(without, NAMES)])
        for where, values in ((_AT, after), (_LATER, (after[0], now))):
            piece = f"FROM (SELECT * FROM delivery WHERE {where} LIMIT {WINDOW})"
            rows += self._rows(
                f"SELECT {_DELIVERY} {piece} WHERE CAST(destination AS TEXT) NOT IN (SELECT value FROM json_each(?)) LIMIT ?",
                (channel, *values, names, limit - len(rows)),
            )
            if len(rows) == limit:
                return Page(rows, (rows[-1].due, rows[-1].id), more=True)
            end: list[tuple[float, int]] = self._fetch(
                f"SELECT due, id FROM delivery WHERE {where} LIMIT 1 OFFSET {WINDOW - 1}", (channel, *values)
            )
            if end:
                return Page(rows, end[0], more=True)
        return Page(rows, (now, LAST), more=False)

    def due_to(self, destination: bytes, now: float, limit: int) -> list[DeliveryRow]:
        return self._deliveries(
            "channel=1 AND destination=? AND due <= ? ORDER BY due, id LIMIT ?", (destination, now, limit)
        )

    def destinations(self, now: float, limit: int) -> list[bytes] | None:
        found = self._fetch(DESTINATIONS, (limit + 1, now))
        return None if len(found) > limit else [name for name, due in found if due]

    def _deliveries(self, where: str, values: tuple[Any, ...]) -> list[DeliveryRow]:
        return self._rows(f"SELECT {_DELIVERY} FROM delivery WHERE {where}", values)

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[DeliveryRow]:
        return [DeliveryRow(*row) for row in self._fetch(statement, values)]

    def _fetch(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._disk_errors():
            return self._cursor.execute(statement, values).fetchall()

    def _value(self, statement: str, values: tuple[Any, ...] = ()) -> Any:
        with self._disk_errors():
            return self._cursor.execute(statement, values).get

    def next_due(self, channel: int, now: float) -> float | None:
        found: float | None = self._value(
            "SELECT due FROM delivery WHERE channel=? AND due > ? ORDER BY due LIMIT 1", (channel, now)
        )
        return found

    def load(self, messages: Iterable[int]) -> list[Loaded]:
        loaded: list[Loaded] = []
        with self._disk_errors():
            for message in messages:
                for *row, due, delayed in self._fetch(_LOAD, (message,)):
                    found = _message(row)
                    left = self._value(
                        "SELECT count(*) FROM delivery WHERE id > ? AND id <= ?", (message, message + found.deliveries)
                    )
                    notice = None if due is None else NoticeRow(message, due, bool(delayed))
                    loaded.append(Loaded(found, left, self._failures(message), notice))
        return loaded

    def waiting(self, message: int) -> list[DeliveryRow]:
        last = "(SELECT deliveries FROM message WHERE id = ?1)"
        return self._deliveries(f"id > ?1 AND id <= ?1 + {last} ORDER BY id", (message,))

    def notices(self, limit: int) -> list[NoticeRow]:
        rows = self._fetch("SELECT * FROM notice WHERE due < 9e999 ORDER BY due, message LIMIT ?", (limit,))
        return [NoticeRow(message, due, bool(delayed)) for message, due, delayed in rows]

    def bring_forward(self, after: int, due: float, limit: int) -> Brought:
        rows = self._fetch("SELECT id, due FROM delivery WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
        later = [number for number, when in rows if due < when < NEVER]
        with self._disk_errors():
            run = self._cursor.execute
            run("UPDATE delivery SET due=? WHERE id IN (SELECT value FROM json_each(?))", (due, json.dumps(later)))
        return Brought(rows[-1][0] if len(rows) == limit else 0, len(later))

    def _failures(self, message: int) -> list[bytes]:
        rows = self._cursor.execute("SELECT text FROM failure WHERE message=? ORDER BY id", (message,))
        return [row[0] for row in rows]

    def listing(self, after: int, limit: int) -> list[Listed]:
        with self._disk_errors():
            run = self._cursor.execute
            messages = [
                _message((*row, None))
                for row in run(
                    "SELECT id, sender, size, deliveries FROM message WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
                )
            ]
            if not messages:
                return []
            end = messages[-1].id + messages[-1].deliveries
            deliveries: dict[int, list[DeliveryRow]] = {}
            for row in self._deliveries("id > ? AND id <= ? ORDER BY id", (messages[0].id, end)):
                deliveries.setdefault(row.message, []).append(row)
            failures = dict(
                run(
                    "SELECT message, count(*) FROM failure WHERE message BETWEEN ? AND ? GROUP BY message",
                    (messages[0].id, messages[-1].id),
                )
            )
        return [Listed(m, deliveries.get(m.id, []), failures.get(m.id, 0)) for m in messages]

    def _listed(self, message: MessageRow) -> Listed:
        rows = self._deliveries("id > ? AND id <= ? ORDER BY id", (message.id, message.id + message.deliveries))
        return Listed(message, rows, self._value("SELECT count(*) FROM failure WHERE message=?", (message.id,)))

    def show(self, message: int) -> tuple[Listed, bytes | None, list[bytes]] | None:
        with self._disk_errors():
            rows = self._cursor.execute("SELECT * FROM message WHERE id=?", (message,)).fetchall()
            if not rows:
                return None
            found = _message(rows[0])
            return self._listed(found._replace(content=None)), found.content, self._failures(message)

    def astray(self, after: int, limit: int) -> tuple[int, list[DeliveryRow]]:
        end = self._value("SELECT id FROM delivery WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?", (after, limit - 1)) or 0
        gone = "NOT EXISTS (SELECT 1 FROM message m WHERE m.id = delivery.message)"
        return end, self._deliveries(f"id > ? AND id <= ? AND {gone} ORDER BY id", (after, end or LAST))

    def contains(self, message: int) -> bool:
        return bool(self._value("SELECT count(*) FROM message WHERE id=?", (message,)))

    def count(self) -> int:
        return int(self._value("SELECT messages FROM total"))  # counting takes seconds when there are many

    def used(self) -> int:
        with self._disk_errors():
            pages = self._connection.pragma("page_count") - self._connection.pragma("freelist_count")
            return int(pages * self._connection.pragma("page_size"))

    def last(self) -> int:
        return int(self._value("SELECT max(id, (SELECT coalesce(max(id), 0) FROM delivery)) FROM last_id"))

    def cycle(self) -> bytes:
        """The journal's cycle whose records are not in the database yet."""
        found: bytes = self._value("SELECT cycle FROM journal")
        return found

    def untidy(self) -> bool:
        return self._log_bytes > MUCH

    def tidy(self, idle: bool) -> None:
        if self._log_bytes > (SOME if idle else MUCH):
            with self._disk_errors():
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._log_bytes = 0

    def begin_log(self) -> None:
        """A new log at the start: a commit that a power cut tore leaves frames behind the end of the old one, and if the
        next is torn over them nobody can tell that from damage.
        """
        with self._disk_errors(), suppress(apsw.FullError):  # the old one serves as well
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._log_bytes = 0

    def keep_log(self) -> None:
        """The files stay as they are when this is closed."""
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def close(self) -> None:
        self._cursor.close()
        self._connection.close()


def _message(row: Any) -> MessageRow:
    return MessageRow(*row)
