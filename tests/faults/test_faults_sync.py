"""A sync that failed once is never taken for one that worked: the next success of fsync(2) says nothing about what failed."""

import contextlib
import shutil
from functools import partial
from pathlib import Path

import apsw
import pytest
from fault_post import Post
from fault_trace import Point, injecting, usable

from appliance.queue import durable
from appliance.queue.durable import DurableStore
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import Change, DeliveryRow, MessageRow, Unavailable

SIZE = 1 << 20  # of a journal


class Faulty(apsw.VFS):
    """The disk, whose next syncs fail: the data is in the page cache then, and perhaps nowhere else."""

    def __init__(self) -> None:
        self.failing = 0
        super().__init__("faulty", "")

    def xOpen(self, name, flags):  # noqa: N802  # SQLite's name
        return _File(name, flags, self)


class _File(apsw.VFSFile):
    def __init__(self, name, flags, vfs: Faulty) -> None:
        self._vfs = vfs
        super().__init__("", name, flags)

    def xSync(self, flags) -> None:  # noqa: N802  # SQLite's name
        if self._vfs.failing:
            self._vfs.failing -= 1
            raise apsw.IOError
        super().xSync(flags)


@pytest.fixture
def vfs(monkeypatch):
    faulty = Faulty()
    monkeypatch.setattr(durable, "SqliteStore", partial(SqliteStore, vfs="faulty"))
    yield faulty
    faulty.unregister()


@pytest.mark.skipif(not usable(), reason="strace can't trace a running process here")
def test_no_250_while_syncs_fail_and_nothing_lost_by_a_kill_after(tmp_path):
    """What the disk refused was refused; what was promised before and after is there, though every program was killed."""
    post = Post(tmp_path)
    post.appliance.start()
    try:
        post.partner.close()  # so that all mail waits
        mail = post.write("mixed", "abroad")
        post.send_all(mail)
        calls = Point("pwritev2,pwrite64,fsync,fdatasync", "EIO", 1, lasting=True)
        refused = post.write("mixed", "abroad", "mixed")
        with injecting(post.pid("queue"), tmp_path / "trace", calls):
            assert [post.attempt(message) for message in refused] == [False] * 3
        mail += post.write("mixed", "abroad")
        post.send_all(mail)
        post.appliance.kill_all()
        post.partner.listen()
        post.appliance.start()
        post.settle(mail)
    finally:
        post.appliance.kill_all()


def _message(number: int) -> Change:
    row = DeliveryRow(number + 1, number, 1, b"partner.example", 0.0, 0, b"Tx@partner.example\0", b"")
    return Change([MessageRow(number, b"s@client.example", 1, 1, b"x")], [row], last=number + 1)


def _killed(store_folder: Path, to: Path) -> DurableStore:
    """What the next start finds after kill -9: the files as they are now."""
    shutil.copytree(store_folder, to)
    return DurableStore(to / "queue.sqlite", to / "journal", SIZE)


def test_nothing_is_promised_after_a_fold_whose_sync_failed(tmp_path, vfs):
    """The fold may be on disk, and with it the journal's next cycle: what went on in the old one would be void at a start."""
    (tmp_path / "queue").mkdir()
    store = DurableStore(tmp_path / "queue" / "queue.sqlite", tmp_path / "queue" / "journal", SIZE)
    store.commit([_message(1000)])
    vfs.failing = 1
    with pytest.raises(Unavailable):
        store.count()
    promised = [1000]
    for number in (2000, 3000):
        with contextlib.suppress(Unavailable):
            store.commit([_message(number)])
            promised.append(number)
    later = _killed(tmp_path / "queue", tmp_path / "later")
    assert [number for number in promised if not later.contains(number)] == []
    assert promised == [1000, 2000, 3000]  # the fault was over
    later.close()
    store.close()
