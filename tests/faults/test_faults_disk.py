"""Disks that are full, or read-only, under load: what was answered 250 is there, and all goes on when there is room again."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_disk import Load, OnDisk, small_disk
from fault_post import wait_until

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


@pytest.mark.parametrize(("options", "full"), [((), _bytes), (("-N", "3000"), _inodes)], ids=["bytes", "inodes"])
def test_a_full_disk_puts_senders_off_and_goes_on_by_itself(tmp_path, options, full):
    """452 while it is full, health says why, no program is started again and again; a minute after it has room all is delivered."""
    with small_disk(tmp_path, 160, *options) as disk:
        post = OnDisk(tmp_path / "post", disk)
        post.appliance.start()
        try:
            with Load(post, *LETTERS) as load:
                wait_until(lambda: len(load.sent) > 50, 20, "some mail")
                with full(disk):
                    before = len(load.sent)
                    wait_until(lambda: 452 in load.answers(before), 20, "senders are put off")
                    wait_until(lambda: " is full" in post.health(), 10, "health says so")
                at = time.monotonic()
                after = len(load.sent)
                wait_until(lambda: 250 in load.answers(after), 15, "mail is taken again")
            assert 452 in load.answers(before)
            post.send_all(load.sent)
            post.settle(load.sent, 60, hurry=False)
            assert time.monotonic() - at < 60 * 4
            assert not post.wrong
            assert [post.starts(name) for name in ("queue", "smtpd", "local", "remote")] == [1, 1, 1, 1]
            print(len(load.sent), "sent", time.monotonic() - at)
        finally:
            post.appliance.kill_all()
