"""What can be read of a damaged queue, row by row, into a database that is whole.

Pages that can be reached by their trees count as they are.  Where a tree is broken, pages that nothing reaches and that
are not known to be free count as well: so a message that had left the queue may come back, and none that can be read is
left behind.  On top of the rows comes what of the journal is whole.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from appliance import safeio
from appliance.queue import journal
from appliance.queue.record import Damaged, decode
from appliance.queue.rescue import wal
from appliance.queue.rescue.pages import Pages, Row, Unreadable, Value
from appliance.queue.store import Change
from appliance.queue.tables import SCHEMA, VERSION

Rest = Callable[[], None]  # called after each few milliseconds of work: other mail goes first
_TABLES = ("message", "delivery", "failure", "notice")
# where a database that was made by this program has them, if its first page does not tell
_ROOTS = {"message": 2, "delivery": 3, "failure": 6, "last_id": 8, "journal": 9, "total": 10, "notice": 11}
_NUMBER = (int, float)
_SHAPES: dict[str, tuple[Any, ...]] = {  # the types of a row's columns; the first is its number
    "message": (bytes, int, int, (bytes, type(None))),
    "delivery": (int, int, bytes, _NUMBER, int, bytes, bytes),
    "failure": (int, bytes),
    "notice": (_NUMBER, int),
}
_INSERT = {name: f"INSERT OR IGNORE INTO {name} VALUES (?{',?' * len(_SHAPES[name])})" for name in _TABLES}  # noqa: S608
_BATCH = 200  # rows written together


class Range(NamedTuple):
    """Rows of a table whose numbers are above `low`, up to `high`, some or all of which can't be read."""

    table: str
    low: int
    high: int


class Found:
    """What was read, and what was not."""

    def __init__(self) -> None:
        self.damage: list[str] = []  # sentences
        self.lost: list[Range] = []
        self.loose = 0  # pages that no tree reached
        self.sure = True  # those of them that are free are known
        self.records = 0  # of the journal
        self.alone = False  # only the journal was damaged
        self.gaps: list[journal.Gap] = []
        self.last = 0
        self.expected: int | None = None  # messages in the queue, by the database's own count and the journal
        self.read = 0  # those that could be read
        self.behind = False  # what was committed last is lost

    def covers(self, table: str, number: int) -> bool:
        """Whether a row of that number may be among what is lost."""
        return any(each.table == table and each.low < number <= each.high for each in self.lost)


def salvage(folder: Path, target: Path, rest: Rest) -> Found:
    """Read `queue.sqlite`, its log and `journal` in a folder into the new database `target`. Raises OSError, apsw.Error."""
    found = Found()
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    connection = apsw.Connection(str(new))
    try:
        # it can be made again, until it has its name
        connection.execute(
            f"PRAGMA page_size=16384; PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; {SCHEMA}"
        ).fetchall()
        if (folder / "damaged").exists():  # a journal, and what is whole of it is in the queue
            _journal(folder / "damaged", None, connection, found, rest)
            found.alone, found.behind = True, not found.gaps
            connection.execute("DELETE FROM message; DELETE FROM delivery; DELETE FROM failure; DELETE FROM notice")
        else:
            cycle = _database(folder / "queue.sqlite", connection, found, rest)
            _journal(folder / "journal", cycle, connection, found, rest)
        found.last = max(found.last, highest(connection))
        found.read = int(connection.execute("SELECT count(*) FROM message").get)
        connection.execute("UPDATE last_id SET id=?", (found.last,))
        connection.execute("INSERT OR REPLACE INTO total SELECT 1, count(*) FROM message")
        connection.execute(f"PRAGMA user_version={VERSION}")
    finally:
        connection.close()
    fd = os.open(new, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    new.rename(target)
    safeio.sync_directory(folder)
    return found


def highest(connection: apsw.Connection) -> int:
    """The highest number of a message or a delivery."""
    return int(
        connection.execute(
            "SELECT max(coalesce((SELECT max(id) FROM message), 0), coalesce((SELECT max(id) FROM delivery), 0))"
        ).get
    )


# -- the database ---------------------------------------------------------------------------


def _database(path: Path, connection: apsw.Connection, found: Found, rest: Rest) -> bytes | None:
    """Its rows; the cycle of the journal that belongs to it, if that can be read."""
    if not path.exists():
        found.damage.append("there is no database")
        return None
    log = wal.read(path.with_name(path.name + "-wal"))
    if log.damage:
        found.damage.append(log.damage)
    pages = Pages(path, log)
    try:
        try:
            roots = roots_of(pages)
        except Unreadable:
            roots = {}
        if "message" not in roots:
            found.damage.append("the head of the database is damaged")
            roots = _ROOTS
        seen = {1}
        broken = False
        for table in (name for name in _TABLES if name in roots):
            broken |= _table(pages, table, roots[table], connection, found, seen, rest)
        if broken:
            _loose(pages, seen, connection, found, rest)
        found.expected = next((value for value in single(pages, roots.get("total", 0)) if isinstance(value, int)), None)
        found.last = max([0, *(value for value in single(pages, roots.get("last_id", 0)) if isinstance(value, int))])
        cycles = [
            value for value in single(pages, roots.get("journal", 0)) if isinstance(value, bytes) and len(value) == 8
        ]
        return cycles[0] if cycles else None
    finally:
        pages.close()


def roots_of(pages: Pages) -> dict[str, int]:
    """Where the tables begin, as the first page tells. Raises Unreadable."""
    rows = [row.values for row in pages.rows(1) if row is not None]
    roots = {
        values[1].decode("latin-1"): values[3] for values in rows if len(values) > 3 and isinstance(values[1], bytes)
    }
    return {name: root for name in _ROOTS if isinstance(root := roots.get(name), int)}


def _table(
    pages: Pages, table: str, root: int, connection: apsw.Connection, found: Found, seen: set[int], rest: Rest
) -> bool:
    """The rows of a table; whether some of its tree can't be reached."""
    broken = False
    batch: list[Sequence[Value]] = []
    for leaf in pages.leaves(root):
        seen.add(leaf.page)
        lost = not leaf.readable
        if leaf.readable:
            try:
                rows = pages.rows(leaf.page)
            except Unreadable:
                lost = True
            else:
                good = [row for row in rows if row is not None and leaf.low < row.id <= leaf.high and fits(table, row)]
                lost = len(good) < len(rows)
                batch += [(row.id, *row.values[1:]) for row in good]
        if lost:
            broken = True
            found.lost.append(Range(table, leaf.low, leaf.high))
        if len(batch) >= _BATCH:
            _write(connection, table, batch)
            batch = []
        rest()
    _write(connection, table, batch)
    seen |= pages.inner
    return broken


def fits(table: str, row: Row) -> bool:
    """Whether it can be a row of that table."""
    shape = _SHAPES[table]
    return len(row.values) == len(shape) + 1 and all(map(isinstance, row.values[1:], shape))


def _loose(pages: Pages, seen: set[int], connection: apsw.Connection, found: Found, rest: Rest) -> None:
    """Rows of pages that no tree reaches: the branch that led to them is damaged, or they are free."""
    free = pages.free()
    found.sure = free is not None
    for number in range(2, pages.count + 1):
        if number in seen or number in (free or ()):
            continue
        try:
            rows = [row for row in pages.rows(number) if row is not None]
        except Unreadable:
            continue
        for table in _TABLES:
            good = [(row.id, *row.values[1:]) for row in rows if fits(table, row)]
            found.loose += bool(good)
            _write(connection, table, good)
        rest()


def single(pages: Pages, root: int) -> Iterator[Value]:
    """The second column of a table of one row."""
    try:
        for row in pages.rows(root):
            if row is not None and len(row.values) == 2:
                yield row.values[1]
    except Unreadable:
        return


def _write(connection: apsw.Connection, table: str, rows: Sequence[Sequence[Value]]) -> None:
    if rows:
        with connection:
            connection.executemany(_INSERT[table], rows)


# -- the journal ----------------------------------------------------------------------------


def _journal(path: Path, cycle: bytes | None, connection: apsw.Connection, found: Found, rest: Rest) -> None:
    """What was committed after the database's last sum, or what of that is whole."""
    if not path.exists():
        found.damage.append("there is no journal")
        return
    with path.open("rb") as file:
        size, load = file.seek(0, 2), reader(file.fileno())
        own = journal.newest(load, size)
        folded = False
        if cycle is not None and own is not None and journal.precedes(own, cycle):
            folded = True  # the database has it, or had: to do it again makes up for pages that are lost
        elif cycle is not None and (own is None or not journal.later(own, cycle)):
            own = cycle  # what earlier cycles left is in the database
        elif cycle is not None:
            found.behind = True
        if own is None or journal.is_closed(own):
            return
        for payload in journal.scan(load, size, own):
            if isinstance(payload, journal.Gap):
                found.gaps.append(payload)
                continue
            try:
                changes = decode(payload)
            except Damaged as cause:
                found.damage.append(f"a record of the journal: {cause}")
                continue
            found.records += 1
            if found.expected is not None and not folded:
                found.expected += sum(len(change.messages) - len(change.finished) for change in changes)
            with connection:
                for change in changes:
                    _apply(connection, change)
            found.last = max([found.last, *(change.last for change in changes)])
            rest()
    if found.gaps:
        found.damage.append(f"{len(found.gaps)} records in the middle of the journal can't be read")


def reader(fd: int) -> journal.Load:
    """Reads a journal that nobody writes to."""
    return lambda position, length: memoryview(os.pread(fd, length, position))


def _apply(connection: apsw.Connection, change: Change) -> None:
    """A change to a database in which some of what it is about may be missing, or there already."""
    run, many = connection.execute, connection.executemany
    many("INSERT OR REPLACE INTO message VALUES (?,?,?,?,?)", change.messages)
    many("INSERT OR REPLACE INTO delivery VALUES (?,?,?,?,?,?,?,?)", change.deliveries)
    for row in change.updates:
        run(
            "UPDATE delivery SET due=?, attempts=?, recipients=?, report=? WHERE id=?",
            (row.due, row.attempts, row.recipients, row.report, row.id),
        )
    for failure in change.failures:
        run(
            "INSERT INTO failure(message, text) SELECT ?1, ?2 WHERE NOT EXISTS "
            "(SELECT 1 FROM failure WHERE message=?1 AND text=?2)",
            failure,
        )
    for message in change.forgotten:
        run("DELETE FROM failure WHERE message=?", (message,))
    for notice in change.notices:
        run("DELETE FROM notice WHERE message=?", (notice.message,))
        if notice:
            run("INSERT INTO notice VALUES (?,?,?)", notice)
    many("DELETE FROM delivery WHERE id=?", [(number,) for number in change.done])
    many("DELETE FROM message WHERE id=?", [(number,) for number in change.finished])
