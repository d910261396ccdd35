"""Is the queue in order? Sentences about what is not; nothing is changed.

While it runs, each message is read and compared with its file, and the journal read; else all pages and indexes, too.
"""

from collections.abc import Iterator
from pathlib import Path

import apsw

from appliance import message_id
from appliance.queue.astray import in_words
from appliance.queue.body import Bodies
from appliance.queue.durable import DurableStore
from appliance.queue.rescue import aside
from appliance.queue.store import Corrupt, Listed, Loaded, Store, recipients
from appliance.state import State

SOME = 50  # messages read together
ROWS = 1000  # deliveries


def messages(store: Store, bodies: Bodies, after: int) -> tuple[int, int, list[str]]:
    """Look at the messages after an id: how many, the last one's id, and what is wrong. Raises Unavailable."""
    items = store.listing(after, SOME)
    loaded = {found.message.id: found for found in store.load([item.message.id for item in items])}
    problems = [text for item in items for text in _message(item, loaded.get(item.message.id), bodies)]
    return len(items), items[-1].message.id if items else 0, problems


def deliveries(store: Store, after: int) -> tuple[int, list[str]]:
    """Look at the deliveries after an id: the last one's, 0 at the end, and what is wrong. Raises Unavailable."""
    end, rows = store.astray(after, ROWS)
    return end, [
        f"{in_words(row)}: the message is gone; `paperpath queue recover` tells the postmaster" for row in rows
    ]


def ended(store: Store, after: int) -> tuple[int, list[Loaded]]:
    """Of the messages after an id those without deliveries, and the last id, 0 at the end. Raises Unavailable."""
    items = store.listing(after, SOME)
    bare = store.load([item.message.id for item in items if not item.deliveries])
    return items[-1].message.id if items else 0, bare


def _message(item: Listed, loaded: Loaded | None, bodies: Bodies) -> Iterator[str]:
    name = message_id.text(item.message.id)
    if loaded is None:
        yield f"message {name} can't be read"
        return
    message = loaded.message
    if message.content is not None and len(message.content) != message.size:
        yield f"message {name} has {len(message.content)} bytes, {message.size} were accepted"
    if message.content is None:
        yield from _body(name, bodies.path(message.id), message.size)
    if not item.deliveries:
        yield f"message {name} has no recipients left and has not ended: `paperpath queue recover` ends it, and tells somebody"
    for row in item.deliveries:
        if row.message != message.id or not recipients(row.recipients)[0]:
            yield f"message {name}: a delivery without recipients, or of another message"


def _body(name: str, path: Path, size: int) -> Iterator[str]:
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        yield f"message {name}: its body file {path} is missing; it bounces when it is due"
        return
    if found != size:
        yield f"message {name}: its body file {path} has {found} bytes, {size} were accepted; it bounces when it is due"


def at_rest(state: State) -> Iterator[str | int]:
    """All of a queue that does not run: what is wrong, and at the end how many messages there are. Raises OSError.

    The folder must be held.
    """
    yield from set_aside(state.queue)
    if why := aside.suspicion(state) or aside.examine(state):
        yield f"{why}: the next start sets it aside and recovers what can be read"
        return
    if not state.database.exists():
        yield 0
        return
    if wrong := list(_database(state.database)):
        yield from wrong
        yield "The queue sets it aside when it finds that, and recovers what can be read. At once: touch queue/suspect, and start"
        return
    try:
        store = DurableStore(state.database, state.journal)
    except Corrupt as damage:
        yield f"{damage}; the next start keeps a copy and goes on with what can be read"
        return
    bodies = Bodies(state.bodies)
    try:
        count = after = 0
        while (page := messages(store, bodies, after))[0]:
            found, after, problems = page
            count += found
            yield from problems
        after, more = 0, True
        while more:
            after, problems = deliveries(store, after)
            yield from problems
            more = after > 0
        yield count
    finally:
        store.close()
        bodies.close()


def set_aside(queue: Path) -> Iterator[str]:
    """What has been set aside and is not in the queue again."""
    for folder in aside.folders(queue):
        if not (folder / "report").exists():
            yield f"{folder} is not recovered yet: that is done while Paperpath runs"


def _database(path: Path) -> Iterator[str]:
    """SQLite's own check of all pages and indexes, without a change to the files."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("locking_mode", "exclusive")
        for (text,) in connection.execute("PRAGMA integrity_check(20)"):
            if text != "ok":
                yield f"database: {text}"
    except apsw.Error as error:
        yield f"database: {error}"
    finally:
        connection.close()
