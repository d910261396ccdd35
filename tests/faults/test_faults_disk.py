"""Disks that are full, or read-only, under load: what was answered 250 is there, and all goes on when there is room again."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_disk import Disk, Load, OnDisk
from fault_post import wait_until
from today import todays

LETTERS = ("maildir", "large", "mbox", "program", "mixed")


@contextlib.contextmanager
def _bytes(disk: Path) -> Iterator[None]:
    """Somebody else's file takes all that is free, again and again."""
    with (disk / "filler").open("wb", buffering=0) as file:
        _fill(lambda: file.write(bytes(1 << 16)))
        _fill(lambda: file.write(bytes(512)))
        yield
    (disk / "filler").unlink()


@contextlib.contextmanager
def _inodes(disk: Path) -> Iterator[None]:
    """Somebody else's files take all names."""
    (disk / "filler").mkdir()
    names = map(str, itertools.count())
    _fill(lambda: Path(disk, "filler", next(names)).touch())
    yield
    for path in (disk / "filler").iterdir():
        path.unlink()


def _fill(more: Callable[[], object]) -> None:
    with contextlib.suppress(OSError):
        while True:
            more()


FULL = [pytest.param((), _bytes, id="bytes"), pytest.param(("-N", "3000"), _inodes, id="inodes")]


@pytest.mark.parametrize(("options", "full"), todays(FULL, 2))
def test_a_full_disk_puts_senders_off_and_goes_on_by_itself(tmp_path, options, full):
    """452 while it is full, health says why, no program is started again and again; a minute after it has room all is delivered."""
    post = OnDisk(tmp_path)
    with Disk(post.state.root, 160, *options) as disk, _running(post):
        with Load(post, *LETTERS) as load:
            wait_until(lambda: len(load.sent) > 30, 20, "some mail")
            with full(disk.mount):
                before = len(load.sent)
                wait_until(lambda: 452 in load.answers(before), 20, "senders are put off")
                wait_until(lambda: " is full" in post.health(), 10, "health says so")
            after = len(load.sent)
            wait_until(lambda: 250 in load.answers(after), 15, "mail is taken again")
        post.send_all(load.sent)
        post.settle(load.sent, 60, hurry=False)
        assert not post.wrong
        assert [post.starts(name) for name in ("queue", "smtpd", "local", "remote")] == [1, 1, 1, 1]


def test_mailboxes_that_are_read_only_for_a_while_lose_nothing(tmp_path):
    """What can't be delivered waits in the queue; nobody is told that it failed, and it is tried as soon as it can be written."""
    post = OnDisk(tmp_path)
    with Disk(post.state.mail, 32) as disk, _running(post):
        with Load(post, *LETTERS) as load:
            wait_until(lambda: len(load.sent) > 30, 20, "some mail")
            wait_until(lambda: disk.read_only(True), 20, "a moment when nobody writes")
            before = len(load.sent)
            wait_until(lambda: len(load.sent) > before + 20, 20, "more mail")
            assert set(load.answers(before)) == {250}
            wait_until(lambda: post.appliance.log("deferred"), 10, "deliveries are put off")
            assert "mail is read-only" in post.health()
            wait_until(lambda: post.warned("mail is read-only"), 20, "the queue has seen it")
            assert disk.read_only(False)
        post.send_all(load.sent)
        post.settle(load.sent, 30, hurry=False)
        assert post.warned("mail can be written again")
        assert not post.wrong
        assert [post.starts(name) for name in ("queue", "local", "launcher")] == [1, 1, 1]


def test_a_queue_whose_disk_turns_read_only_has_all_that_it_promised(tmp_path):
    """An error of the file system: 451 until it is mended, no queue that starts again and again; nothing is lost by it."""
    post = OnDisk(tmp_path)
    with Disk(post.state.root, 160) as disk, _running(post):
        with Load(post, *LETTERS) as load:
            wait_until(lambda: len(load.sent) > 30, 20, "some mail")
            disk.fail()
            before = len(load.sent)
            wait_until(lambda: 451 in load.answers(before), 20, "senders are put off")
            wait_until(lambda: "the queue can't write" in post.health(), 10, "health says so")
            assert 250 not in load.answers(before + 2)
            assert post.starts("queue") == 1
        post.appliance.kill_all()
        disk.repair()
        post.appliance.start()
        post.send_all(load.sent)
        post.settle(load.sent, 30)
        assert not post.wrong


@contextlib.contextmanager
def _running(post: OnDisk) -> Iterator[None]:
    post.appliance.start()
    try:
        yield
    finally:
        post.appliance.kill_all()
