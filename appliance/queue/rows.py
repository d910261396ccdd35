"""A batch of changes as statements to SQLite.

Many rows go into one statement, because each statement releases and takes back Python's lock
once, and because preparing the call costs more than the row.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import apsw

from appliance.queue.store import Change

_CHUNKS = (64, 8, 1)  # rows a statement
_PUT = "INSERT OR REPLACE INTO notice VALUES (?,?,?)"


def apply(connection: apsw.Connection, cursor: apsw.Cursor, changes: Sequence[Change]) -> None:
    """Write all of them, in the transaction that has begun. Raises apsw.Error."""
    run = cursor.execute
    _many(cursor, "INSERT INTO message VALUES ", "(?,?,?,?,?)", [r for c in changes for r in c.messages])
    _many(cursor, "INSERT INTO delivery VALUES ", "(?,?,?,?,?,?,?,?)", [r for c in changes for r in c.deliveries])
    for change in changes:
        for row in change.updates:
            run(
                "UPDATE delivery SET due=?, attempts=?, recipients=?, report=? WHERE id=?",
                (row.due, row.attempts, row.recipients, row.report, row.id),
            )
        if change.failures:
            cursor.executemany("INSERT INTO failure(message, text) VALUES (?,?)", change.failures)
        for message in change.forgotten:
            run("DELETE FROM failure WHERE message=?", (message,))
        for notice in change.notices:
            run(*(_PUT, notice) if notice else ("DELETE FROM notice WHERE message=?", (notice.message,)))
    _many(cursor, "DELETE FROM delivery WHERE id IN (", "?", [(i,) for c in changes for i in c.done], ")")
    before = connection.total_changes()
    _many(cursor, "DELETE FROM message WHERE id IN (", "?", [(i,) for c in changes for i in c.finished], ")")
    gone = connection.total_changes() - before
    run("UPDATE total SET messages = messages + ?", (sum(len(c.messages) for c in changes) - gone,))
    last = max(c.last for c in changes) if changes else 0
    if last:
        run("UPDATE last_id SET id=?1 WHERE id < ?1", (last,))


def _many(cursor: apsw.Cursor, start: str, row: str, rows: Sequence[Sequence[Any]], end: str = "") -> None:
    position, count = 0, len(rows)
    for size in _CHUNKS:
        if count - position >= size:
            statement = start + ",".join([row] * size) + end
            while count - position >= size:
                cursor.execute(statement, list(chain.from_iterable(rows[position : position + size])))
                position += size
