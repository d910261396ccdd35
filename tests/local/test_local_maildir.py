"""Deliveries into Maildirs: names, permissions, contents."""

import os
import re
import resource
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_parts import files

from appliance.local.content import Content
from appliance.local.disk import Disk
from appliance.local.maildir import Attempt, Letter, Maildirs


@pytest.fixture(params=[True, False], ids=["syncfs", "fdatasync"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Both ways to make a batch durable."""
    disk = Disk(os.fsencode(tmp_path), request.param)
    yield disk
    disk.close()


def letter(folder: Path, data: bytes = b"content\n", head: bytes = b"Head: 1\n") -> Letter:
    return Letter(os.fsencode(folder), head, Content(data, len(data)), Attempt())


def test_a_batch_lands_in_new_and_leaves_nothing_in_tmp(tmp_path: Path, disk: Disk) -> None:
    """The head, then the content, byte for byte."""
    letters = [letter(tmp_path / box / "Maildir", b"%d" % n) for n in range(3) for box in ("a", "b")]
    Maildirs(os.fsencode(tmp_path), disk).deliver(letters)
    assert [each.attempt.failure for each in letters] == [None] * 6
    for box in ("a", "b"):
        assert files(tmp_path / box / "Maildir/new") == [b"Head: 1\n%d" % n for n in range(3)]
        assert files(tmp_path / box / "Maildir/tmp") == []


def test_names_are_unique_and_say_when_and_where(tmp_path: Path, disk: Disk) -> None:
    """<time>.M<microseconds>P<pid>Q<count>.<host>, as Maildir readers expect them."""
    Maildirs(os.fsencode(tmp_path), disk).deliver([letter(tmp_path / "Maildir") for _ in range(300)])
    names = os.listdir(tmp_path / "Maildir/new")
    assert len(names) == 300
    host = re.escape(socket.gethostname().replace("/", "\\057").replace(":", "\\072")[:64])
    assert all(re.fullmatch(rf"\d+\.M\d+P{os.getpid()}Q\d+\.{host}", name) for name in names)


@pytest.mark.parametrize(("mask", "folder", "file"), [(0o077, 0o700, 0o600), (0o007, 0o770, 0o660), (0, 0o770, 0o660)])
def test_folders_and_files_are_their_owner_s_alone(
    tmp_path: Path, disk: Disk, mask: int, folder: int, file: int
) -> None:
    """And their group's, if the program's umask says that programs of several users share them; never everybody's."""
    before = os.umask(mask)
    try:
        Maildirs(os.fsencode(tmp_path), disk).deliver([letter(tmp_path / "d" / "u" / "Maildir")])
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o7777 == (folder if path.is_dir() else file), path
    assert sorted(os.listdir(tmp_path / "d/u/Maildir")) == ["cur", "new", "tmp"]


@given(st.lists(st.binary(max_size=2000), max_size=5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_arbitrary_bytes_stay_as_they_are(tmp_path: Path, contents: list[bytes]) -> None:
    """No line ending is mended, no From is quoted, no LF is added."""
    disk = Disk(os.fsencode(tmp_path))
    before = set(files(tmp_path / "Maildir/new"))
    Maildirs(os.fsencode(tmp_path), disk).deliver([letter(tmp_path / "Maildir", data, b"") for data in contents])
    assert set(files(tmp_path / "Maildir/new")) - before == set(contents) - before
    disk.close()


def test_one_mailbox_s_failure_is_its_own(tmp_path: Path, disk: Disk) -> None:
    """The others of the batch are delivered."""
    (tmp_path / "bad").write_text("a file where the home should be")
    (tmp_path / "half" / "Maildir" / "tmp").mkdir(parents=True)  # has no new/
    letters = [letter(tmp_path / box / "Maildir") for box in ("good", "bad", "half", "other")]
    Maildirs(os.fsencode(tmp_path), disk).deliver(letters)
    assert [each.attempt.failure is None for each in letters] == [True, False, False, True]
    assert isinstance(letters[1].attempt.failure, NotADirectoryError)
    assert files(tmp_path / "half/Maildir/tmp") == []
    assert len(files(tmp_path / "good/Maildir/new")) == len(files(tmp_path / "other/Maildir/new")) == 1


def test_a_recipient_with_two_mailboxes_gets_both_or_none(tmp_path: Path, disk: Disk) -> None:
    """What is known to fail at once is not half delivered, or the retry would double it."""
    (tmp_path / "bad").write_text("")
    good, bad = letter(tmp_path / "good" / "Maildir"), letter(tmp_path / "bad" / "Maildir")
    bad.attempt = good.attempt
    Maildirs(os.fsencode(tmp_path), disk).deliver([good, bad])
    assert good.attempt.failure is not None
    assert files(tmp_path / "good/Maildir/new") == files(tmp_path / "good/Maildir/tmp") == []


def test_a_crash_while_a_maildir_is_made_leaves_one_that_can_be_completed(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it comes between two folders, the next delivery finds what is missing and makes it."""

    class Crash(BaseException):
        pass

    def mkdir(path: bytes, mode: int) -> None:
        nonlocal left
        if not left:
            raise Crash
        make(path, mode)
        left -= 1

    make = os.mkdir
    monkeypatch.setattr(os, "mkdir", mkdir)
    maildirs = Maildirs(os.fsencode(tmp_path), disk)
    for number in range(5):
        box, left = tmp_path / f"box{number}", number
        with pytest.raises(Crash):
            maildirs.deliver([letter(box / "Maildir")])
        left = 5
        again = letter(box / "Maildir")
        maildirs.deliver([again])
        assert again.attempt.failure is None
        assert len(files(box / "Maildir/new")) == 1


def test_nothing_is_made_outside_the_folder_of_mailboxes(tmp_path: Path, disk: Disk) -> None:
    """An absolute path in a dot-qmail file must exist already."""
    one = letter(tmp_path / "elsewhere" / "Maildir")
    Maildirs(os.fsencode(tmp_path / "mail"), disk).deliver([one])
    assert isinstance(one.attempt.failure, FileNotFoundError)
    assert not (tmp_path / "elsewhere").exists()


def test_too_few_descriptors_defer_some_and_deliver_the_rest(tmp_path: Path, disk: Disk) -> None:
    """EMFILE is temporary and leaves nothing behind."""
    maildirs = Maildirs(os.fsencode(tmp_path), disk)
    maildirs.deliver([letter(tmp_path / "Maildir")])
    letters = [letter(tmp_path / "Maildir") for _ in range(100)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, limits[1]))
    try:
        maildirs.deliver(letters)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    delivered = sum(each.attempt.failure is None for each in letters)
    assert 0 < delivered < 100
    assert len(files(tmp_path / "Maildir/new")) == delivered + 1
    assert files(tmp_path / "Maildir/tmp") == []


@pytest.mark.parametrize("whole", [True, False])
def test_a_full_disk_defers_and_removes_what_was_begun(tmp_path: Path, whole: bool) -> None:
    """ENOSPC: the letters that fit are delivered, the rest waits."""
    if os.geteuid():
        pytest.skip("needs root to mount a file system of 1 MiB")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("mount is not allowed here")
    try:
        disk = Disk(os.fsencode(tmp_path), whole)
        letters = [letter(tmp_path / "Maildir", b"x" * 100_000) for _ in range(20)]
        Maildirs(os.fsencode(tmp_path), disk).deliver(letters)
        disk.close()
        failures = [each.attempt.failure for each in letters]
        assert 0 < failures.count(None) < 20
        assert all(isinstance(failure, OSError) for failure in failures if failure)
        assert files(tmp_path / "Maildir/new") == [b"Head: 1\n" + b"x" * 100_000] * failures.count(None)
        assert files(tmp_path / "Maildir/tmp") == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
