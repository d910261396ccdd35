"""A damaged queue is found at start, and put out of the way as it is: `queue/damaged-TIME/` has all of its files.

    reason       what was found; `unfinished` until all files are in the folder
    queue.sqlite, queue.sqlite-wal, journal, body/    the queue as it was
    damaged      a journal that alone was damaged: what could be read of it is in the queue
    report       what has become of it; then nothing is left to do

Nothing of these files is ever changed or removed here.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from appliance import log, message_id, safeio
from appliance.queue import journal
from appliance.queue.durable import DurableStore
from appliance.queue.record import Damaged, decode
from appliance.queue.rescue import wal
from appliance.queue.rescue.pages import Pages, Unreadable
from appliance.queue.rescue.salvage import reader, roots_of, single
from appliance.queue.store import Change, Corrupt, Refused
from appliance.queue.tables import ORDERED
from appliance.state import State

_FILES = ("body", "journal", "queue.sqlite-wal", "queue.sqlite-shm", "queue.sqlite")
_SUSPECT = "suspect"  # damage was found while the queue ran: its next start puts it aside
# where a database's head has its pages, the two numbers that say whether that is right, and the version of its tables
_HEAD = (28, 24, 92, 60)


def hold(folder: Path) -> int:
    """Keep every other process out of a queue's folder, while the descriptor is open. Raises Refused, OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise Refused(f"{folder} is in use by another process") from error
    return fd


def open_queue(state: State) -> DurableStore:
    """The queue; a fresh one, if it is damaged and has been set aside. The folder must be held. Raises OSError."""
    for folder in unfinished(state.queue):
        _move(state.queue, folder)
    try:
        if why := suspicion(state) or examine(state):
            raise Corrupt(why)
        store = DurableStore(state.database, state.journal, keep=lambda why: _keep(state, why))
    except Corrupt as error:
        folder = _set_aside(state.queue, str(error))
        log.trouble(f"queue: it is damaged and lies in {folder} now; new mail goes into a fresh one", error)
        state.bodies.mkdir(mode=0o700, exist_ok=True)
        store = DurableStore(state.database, state.journal)
    store.on_damage(lambda why: suspect(state, why))
    if not store.last() and (others := folders(state.queue)):
        _go_on_after(store, others)
    return store


def _go_on_after(store: DurableStore, others: list[Path]) -> None:
    """A fresh queue gives out no id that another one has (guarantee 8), and says so, so that those may keep theirs."""
    known = max(message_id.following(0, time.time()), *map(highest, others))
    for folder in others:
        if not (folder / "before").exists():
            safeio.write_file(folder / "before", [b"%d 0" % known], 0o600)
            safeio.sync_directory(folder)
    store.commit([Change(last=known)])


def suspect(state: State, why: str) -> None:
    """Damage was found in use: let the next start set the queue aside."""
    path = state.queue / _SUSPECT
    try:
        path.unlink(missing_ok=True)
        safeio.write_file(path, [why.encode()], 0o600)
        safeio.sync_directory(state.queue)
    except OSError as error:
        log.trouble(f"queue: the database is damaged ({why}), and that can't be written down", error)


def suspicion(state: State) -> str:
    """What was found while it ran; empty if nothing was. Raises OSError."""
    try:
        return (state.queue / _SUSPECT).read_text() or "damage was found while it ran"
    except FileNotFoundError:
        return ""


def folders(queue: Path) -> list[Path]:
    """What has been set aside, the oldest first. Raises OSError."""
    return sorted(path for path in queue.glob("damaged-*") if path.is_dir())


def unfinished(queue: Path) -> list[Path]:
    """Those of which a crash left some files where they were."""
    return [folder for folder in folders(queue) if (folder / "unfinished").exists()]


def strays(state: State) -> Path | None:
    """Where body files without a message are put, if a damaged journal may have had their messages. Raises OSError."""
    kept = [
        folder for folder in folders(state.queue) if (folder / "damaged").exists() and not (folder / "report").exists()
    ]
    if not kept:
        return None
    place = kept[-1] / "body"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _new(queue: Path) -> Path:
    name = time.strftime("damaged-%Y%m%dT%H%M%SZ", time.gmtime())
    folder, count = queue / name, 1
    while folder.exists():
        count += 1
        folder = queue / f"{name}-{count}"
    folder.mkdir(mode=0o700)
    return folder


def _set_aside(queue: Path, why: str) -> Path:
    """Move the queue as it is into a folder of its own. Raises OSError: what is left is moved by the next start."""
    folder = _new(queue)
    safeio.write_file(folder / "unfinished", [why.encode()], 0o600)
    safeio.sync_directory(folder)
    safeio.sync_directory(queue)
    _move(queue, folder)
    return folder


def _move(queue: Path, folder: Path) -> None:
    for name in _FILES:
        if (queue / name).exists() and not (folder / name).exists():
            (queue / name).rename(folder / name)
    safeio.sync_directory(folder)
    (queue / _SUSPECT).unlink(missing_ok=True)
    safeio.sync_directory(queue)
    (folder / "unfinished").rename(folder / "reason")
    safeio.sync_directory(folder)


def _keep(state: State, why: str) -> None:
    """A journal with gaps is copied, before it is used again. Raises OSError: then the queue does not start."""
    folder = _new(state.queue)
    if state.journal.exists():
        shutil.copyfile(state.journal, folder / "damaged")
        with (folder / "damaged").open("rb") as copy:
            os.fsync(copy.fileno())
    safeio.write_file(folder / "reason", [why.encode()], 0o600)
    safeio.sync_directory(folder)
    safeio.sync_directory(state.queue)
    log.trouble(f"queue: its journal is damaged, a copy lies in {folder}; what is whole of it is in the queue", why)


# -- what is looked at before each start ----------------------------------------------------


def examine(state: State) -> str:
    """What is wrong with the files, as far as a short look can tell; empty if nothing is. Raises OSError."""
    path = state.database
    log_path = path.with_name(path.name + "-wal")
    head = _head(state.journal)
    if not path.exists() or not path.stat().st_size:
        return "the database is missing" if head or (log_path.exists() and log_path.stat().st_size) else ""
    if not head and path.with_name(path.name + "-journal").exists():
        return ""  # its very first start was cut off: SQLite takes back what there is of it
    log = wal.read(log_path)
    if log.damage:
        return log.damage
    pages = Pages(path, log)
    try:
        return _look(pages, head, logged=bool(log.frames))
    finally:
        pages.close()


def _look(pages: Pages, head: bytes | None, *, logged: bool) -> str:
    if not pages.has_head:
        return "the database's head is damaged, or it is no database"
    try:
        first = pages.page(1)
        wanted, changed, valid, version = (int.from_bytes(first[at : at + 4], "big") for at in _HEAD)
        wanted = pages.count if logged or changed != valid else max(wanted, pages.count)
        missing = sum(not pages.logged(number) for number in range(pages.length() + 1, wanted + 1))
        if missing:
            return f"{missing} of the database's {wanted} pages are missing: it was cut short"
        roots = roots_of(pages)
        if "message" not in roots:
            return "the database's tables can't be found" if head or pages.rows(1) else ""
    except Unreadable as cause:
        return f"the database's first page can't be read: {cause}"
    for table, root in roots.items():
        if any(not leaf.readable for leaf in pages.leaves(root)):
            return f"a branch of the database's table {table} can't be read"
    cycles = [value for value in single(pages, roots.get("journal", 0)) if isinstance(value, bytes)]
    if version >= ORDERED and head and cycles and journal.later(head, cycles[0]):
        return "the database is older than its journal: the last it was told is lost"
    return ""


def _head(path: Path) -> bytes | None:
    """The cycle of a journal's first record, if that is whole."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return journal.head(reader(file.fileno()), file.seek(0, 2))


def highest(folder: Path) -> int:
    """The highest id that a queue which was set aside is known to have given out; 0 if it does not tell. Raises OSError."""
    return max([0, *_of_database(folder / "queue.sqlite"), *_of_journal(folder / "journal")])


def _of_database(path: Path) -> Iterator[int]:
    if not path.exists():
        return
    pages = Pages(path, wal.read(path.with_name(path.name + "-wal")))
    try:
        roots = roots_of(pages)
        for row in pages.rows(roots.get("last_id", 0)):
            if row is not None and isinstance(row.values[-1], int):
                yield row.values[-1]
        for table in ("message", "delivery"):
            *_, leaf = pages.leaves(roots.get(table, 0))
            yield from (row.id for row in pages.rows(leaf.page) if row is not None)
    except Unreadable:  # the clock tells enough: ids are microseconds
        return
    finally:
        pages.close()


def _of_journal(path: Path) -> Iterator[int]:
    if not path.exists():
        return
    with path.open("rb") as file:
        size, load = file.seek(0, 2), reader(file.fileno())
        cycle = journal.newest(load, size)
        for payload in journal.scan(load, size, cycle) if cycle else ():
            if not isinstance(payload, journal.Gap):
                try:
                    yield from (change.last for change in decode(payload))
                except Damaged:  # told when it is recovered
                    continue
