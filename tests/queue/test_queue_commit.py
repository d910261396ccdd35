"""Group commit: what arrives together is written together, and fails alone."""

import asyncio
import threading
import time

import apsw
import pytest

from appliance.queue import commit
from appliance.queue.memory import MemoryStore
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import Change, DeliveryRow, MessageRow, Unavailable


class Note:
    """An item that remembers what it was told."""

    def __init__(self, number, keep=False):
        row = DeliveryRow(number + 1, number, 0, b"", 1.0, 0, b"Ta@b\0", b"")
        self.change = Change((MessageRow(number, b"", 1, 1, b"x" * 3000),), (row,), last=number + 1)
        self.keep = keep
        self.told = []

    def done(self, error):
        self.told.append(error)


class Slow(MemoryStore):
    """Counts commits; each takes a while, as on a real disk."""

    def __init__(self):
        super().__init__()
        self.commits = []

    def commit(self, changes):
        self.commits.append(len(changes))
        time.sleep(0.05)
        super().commit(changes)


async def written(store, *groups):
    """Submit groups of items with a pause between, wait until all are told."""
    loop = asyncio.get_running_loop()
    writer = commit.Writer(store, loop.call_soon_threadsafe, loop.call_soon, loop.call_later, lambda: None)
    writer.start()
    for group in groups:
        for item in group:
            writer.submit(item)
        await asyncio.sleep(0.01)
    while not writer.idle:  # noqa: ASYNC110  # the writer has no event for it
        await asyncio.sleep(0.01)
    await loop.run_in_executor(None, writer.stop)


def test_what_arrives_during_a_commit_shares_the_next():
    """On a slow disk: one commit for the first, one for all that came while it ran."""
    store = Slow()
    groups = [[Note(10)], [Note(20), Note(30)], [Note(40)]]
    known = [  # now the disk is known to be slow
        [Note(number)] for number in range(100, 100 + 10 * commit.PATIENCE, 10)
    ]
    asyncio.run(written(store, *known, *groups))
    assert store.commits == [1] * commit.PATIENCE + [1, 3]
    assert [item.told for group in groups for item in group] == [[None]] * 4


def test_one_bad_item_does_not_fail_the_others():
    """Of a commit that can't be applied each item is tried alone; only the bad one is told."""
    store = MemoryStore()
    items = [Note(10), Note(20), Note(20), Note(30)]
    asyncio.run(written(store, items))
    assert [item.told[0] is None for item in items] == [True, True, False, True]
    assert store.count() == 3


class FullDisk(apsw.VFS):
    """The real file system, until `broken` says which error every write gives."""

    def __init__(self):
        self.broken = None
        self.sync_broken = None
        super().__init__("fulldisk", "")

    def xOpen(self, name, flags):  # noqa: N802  # apsw's names
        return FullFile(self, name, flags)


class FullFile(apsw.VFSFile):
    def __init__(self, vfs, name, flags):
        self._vfs = vfs
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        if self._vfs.broken:
            raise self._vfs.broken
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        if self._vfs.sync_broken:
            raise self._vfs.sync_broken
        super().xSync(flags)


@pytest.fixture
def disk():
    vfs = FullDisk()
    yield vfs
    vfs.unregister()


@pytest.mark.parametrize(
    ("fault", "error"), [("broken", apsw.FullError), ("broken", apsw.IOError), ("sync_broken", apsw.IOError)]
)
def test_full_or_broken_disk(tmp_path, disk, fault, error, monkeypatch):
    """While the disk fails, requests are told so and reports wait; afterwards all goes on and nothing is half there."""
    monkeypatch.setattr(commit, "RETRY", 0.05)
    store = SqliteStore(tmp_path / "q", vfs="fulldisk")
    store.commit([Note(10).change])
    setattr(disk, fault, error())
    requests, report = [Note(20), Note(30)], Note(40, keep=True)

    async def run():
        loop = asyncio.get_running_loop()
        writer = commit.Writer(store, loop.call_soon_threadsafe, loop.call_soon, loop.call_later, lambda: None)
        writer.start()
        for item in (*requests, report):
            writer.submit(item)
        while not all(item.told for item in requests):  # noqa: ASYNC110  # nor the item
            await asyncio.sleep(0.01)
        assert all(isinstance(item.told[0], Unavailable) for item in requests)
        assert report.told == []
        setattr(disk, fault, None)
        while not report.told:  # noqa: ASYNC110  # nor the item
            await asyncio.sleep(0.01)
        await loop.run_in_executor(None, writer.stop)

    asyncio.run(run())
    assert report.told == [None]
    store.close()
    again = SqliteStore(tmp_path / "q")
    assert [item.message.id for item in again.listing(0, 10)] == [10, 40]
    again.close()


class Watched(MemoryStore):
    """Remembers which thread did what."""

    def __init__(self):
        super().__init__()
        self.threads, self.tidied = [], []

    def commit(self, changes):
        self.threads.append(threading.current_thread().name)
        super().commit(changes)

    def tidy(self, idle):
        self.tidied.append((threading.current_thread().name, idle))


def test_quick_disk_is_used_by_the_loop_itself():
    """On a quick disk a commit is done at once, without a thread."""
    store = Watched()
    groups = [[Note(10)], [Note(20)], [Note(30), Note(40)]]

    async def run():
        await written(store, *groups)

    asyncio.run(run())
    assert store.threads == ["MainThread"] * 3
    assert [item.told for group in groups for item in group] == [[None]] * 4


def test_quiet_moment_is_used(monkeypatch):
    """A while after the last commit the store is tidied, once, by the thread."""
    monkeypatch.setattr(commit, "IDLE", 0.02)
    store = Watched()

    async def run():
        loop = asyncio.get_running_loop()
        writer = commit.Writer(store, loop.call_soon_threadsafe, loop.call_soon, loop.call_later, lambda: None)
        writer.start()
        writer.submit(Note(10))
        while not store.tidied:  # noqa: ASYNC110  # nor the store
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # for what must not come
        await loop.run_in_executor(None, writer.stop)

    asyncio.run(run())
    assert store.tidied == [("writer", True)]


def test_commits_and_reads_keep_their_order():
    """A commit after a read waits for it even if the disk is quick; the read sees what was committed before it."""
    store, told = Watched(), []

    async def run():
        loop = asyncio.get_running_loop()
        writer = commit.Writer(store, loop.call_soon_threadsafe, loop.call_soon, loop.call_later, lambda: None)
        writer.start()
        for number in (10, 20, 30):
            item = Note(number)
            item.done = lambda _, number=number: told.append(number)
            writer.submit(item)
            while not writer.idle:  # noqa: ASYNC110  # the writer has no event for it
                await asyncio.sleep(0)
            writer.read(lambda: (time.sleep(0.02), store.count())[1], lambda count, _: told.append(f"{count} messages"))
        while len(told) < 6:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await loop.run_in_executor(None, writer.stop)

    asyncio.run(run())
    assert told == [10, "1 messages", 20, "2 messages", 30, "3 messages"]
