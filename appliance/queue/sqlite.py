"""The store on disk: SQLite in WAL mode, synchronous=FULL, one connection that owns the file.

Many rows go into one statement, because each statement releases and takes back Python's lock
once, and because preparing the call costs more than the row.
"""

# ruff: noqa: S608  # statements are put together from constants
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import apsw

from appliance.queue.store import LAST, Change, DeliveryRow, Listed, Loaded, MessageRow, Page, Refused, Unavailable

PAGE = 16384
SOME = 2 * 1024 * 1024  # bytes of log that a quiet moment is used for
WINDOW = 10_000  # rows that one look for what is due passes at most
NAMES = 1000  # destinations that it leaves out at most
MUCH = 24 * 1024 * 1024  # bytes of log that can't wait for one
_CHUNKS = (64, 8, 1)  # rows a statement

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message(
  id INTEGER PRIMARY KEY, sender BLOB NOT NULL, size INTEGER NOT NULL, deliveries INTEGER NOT NULL, content BLOB);
CREATE TABLE IF NOT EXISTS delivery(
  id INTEGER PRIMARY KEY, message INTEGER NOT NULL, channel INTEGER NOT NULL, destination BLOB NOT NULL,
  due REAL NOT NULL, attempts INTEGER NOT NULL, recipients BLOB NOT NULL, report BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery(channel, due);
CREATE INDEX IF NOT EXISTS delivery_destination ON delivery(destination, due) WHERE channel = 1;
CREATE TABLE IF NOT EXISTS failure(id INTEGER PRIMARY KEY, message INTEGER NOT NULL, text BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS failure_message ON failure(message);
CREATE TABLE IF NOT EXISTS last_id(one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL);
INSERT OR IGNORE INTO last_id VALUES (1, 0);
CREATE TABLE IF NOT EXISTS journal(one INTEGER PRIMARY KEY CHECK (one = 1), cycle BLOB NOT NULL);
INSERT OR IGNORE INTO journal VALUES (1, randomblob(8));
CREATE TABLE IF NOT EXISTS total(one INTEGER PRIMARY KEY CHECK (one = 1), messages INTEGER NOT NULL);
"""
# once: it reads all of a database, and a million messages are a gigabyte
_COUNT = "INSERT OR REPLACE INTO total SELECT 1, count(*) FROM message;"
VERSION = 3  # of the schema, in user_version; 1 had no journal, 2 no total
_DELIVERY = "id, message, channel, destination, due, attempts, recipients, report"
# what comes after one row, in two steps: SQLite does not use the index for (due, id) > (?, ?) as a whole
_AT, _LATER = ("channel=? AND " + where + " ORDER BY due, id" for where in ("due=? AND id>?", "due>? AND due<=?"))
# every destination once, by one step in the index each, and whether something is due there
_NAMES = (
    "WITH RECURSIVE each(name) AS (SELECT min(destination) FROM {0} UNION ALL SELECT (SELECT min(destination) FROM {0} "
    "AND destination > name) FROM each WHERE name IS NOT NULL LIMIT ?) "
    "SELECT name, (SELECT min(due) FROM {0} AND destination = name) <= ? FROM each WHERE name IS NOT NULL"
).format("delivery INDEXED BY delivery_destination WHERE channel=1")
# what the disk does to us, as opposed to what we do to the database
_DISK = (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.NoMemError, apsw.CorruptError,
         apsw.NotADBError, apsw.BusyError, apsw.LockedError)  # fmt: skip


class SqliteStore:
    """The durable store. Raises Refused if the file can't be opened or another process has it."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self._log_bytes = 0
        try:
            self._connection = apsw.Connection(str(path), vfs=vfs)
            try:
                self._open()
            except BaseException:
                self._connection.close()
                raise
        except apsw.BusyError as error:
            raise Refused(f"{path} is in use by another process") from error
        except apsw.Error as error:
            raise Refused(f"{path} can't be opened: {error}") from error
        self._cursor = self._connection.cursor()

    def _open(self) -> None:
        connection = self._connection
        # exclusive before WAL: no shared memory file, and a second opener is refused
        connection.pragma("locking_mode", "exclusive")
        connection.pragma("page_size", PAGE)
        if connection.pragma("journal_mode", "wal") != "wal":
            raise Refused("this file system or file does not allow a write-ahead log")
        connection.pragma("synchronous", "full")
        connection.pragma("temp_store", "memory")
        connection.pragma("cache_size", -16000)
        version = connection.pragma("user_version")
        if version not in range(VERSION + 1):
            raise Refused(f"the database has version {version}, this program reads {VERSION}")
        upgrade = "" if version == VERSION else f"{_COUNT} PRAGMA user_version={VERSION};"
        connection.execute(f"BEGIN EXCLUSIVE; {_SCHEMA} {upgrade} COMMIT")
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
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    def commit(self, changes: Sequence[Change], cycle: bytes | None = None) -> None:
        """As the others' commit; in the same transaction the journal's new cycle."""
        run = self._cursor.execute
        with self._disk_errors():
            if self._connection.in_transaction:  # a roll-back failed with the disk
                run("ROLLBACK")
            run("BEGIN IMMEDIATE")
            try:
                self._apply(changes)
                if cycle is not None:
                    run("UPDATE journal SET cycle=?", (cycle,))
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    with suppress(apsw.Error):  # the first error is the one to tell
                        run("ROLLBACK")
                raise

    def _apply(self, changes: Sequence[Change]) -> None:
        many, run = self._many, self._cursor.execute
        many("INSERT INTO message VALUES ", "(?,?,?,?,?)", [r for c in changes for r in c.messages])
        many(
            "INSERT INTO delivery VALUES ",
            "(?,?,?,?,?,?,?,?)",
            [r for c in changes for r in c.deliveries],
        )
        for change in changes:
            for row in change.updates:
                run(
                    "UPDATE delivery SET due=?, attempts=?, recipients=?, report=? WHERE id=?",
                    (row.due, row.attempts, row.recipients, row.report, row.id),
                )
            if change.failures:
                self._cursor.executemany("INSERT INTO failure(message, text) VALUES (?,?)", change.failures)
            for message in change.forgotten:
                run("DELETE FROM failure WHERE message=?", (message,))
        many("DELETE FROM delivery WHERE id IN (", "?", [(i,) for c in changes for i in c.done], ")")
        before = self._connection.total_changes()
        many("DELETE FROM message WHERE id IN (", "?", [(i,) for c in changes for i in c.finished], ")")
        gone = self._connection.total_changes() - before
        run("UPDATE total SET messages = messages + ?", (sum(len(c.messages) for c in changes) - gone,))
        last = max(c.last for c in changes) if changes else 0
        if last:
            run("UPDATE last_id SET id=?1 WHERE id < ?1", (last,))

    def _many(self, start: str, row: str, rows: Sequence[Sequence[Any]], end: str = "") -> None:
        position, count = 0, len(rows)
        for size in _CHUNKS:
            if count - position >= size:
                statement = start + ",".join([row] * size) + end
                while count - position >= size:
                    self._cursor.execute(statement, list(chain.from_iterable(rows[position : position + size])))
                    position += size

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
        found = self._fetch(_NAMES, (limit + 1, now))
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
                for row in self._cursor.execute("SELECT * FROM message WHERE id=?", (message,)).fetchall():
                    found = _message(row)
                    left = self._value(
                        "SELECT count(*) FROM delivery WHERE id > ? AND id <= ?", (message, message + found.deliveries)
                    )
                    loaded.append(Loaded(found, left, self._failures(message)))
        return loaded

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

    def contains(self, message: int) -> bool:
        return bool(self._value("SELECT count(*) FROM message WHERE id=?", (message,)))

    def count(self) -> int:
        return int(self._value("SELECT messages FROM total"))  # counting takes seconds when there are many

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

    def close(self) -> None:
        self._cursor.close()
        self._connection.close()


def _message(row: Any) -> MessageRow:
    return MessageRow(*row)
