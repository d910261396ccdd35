"""A batch is durable, by one call or by one a file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.local.disk import Disk


def test_an_unknown_file_system_is_synced_file_by_file() -> None:
    """What /proc is can't be relied on."""
    disk = Disk(b"/proc")
    assert not disk.whole
    disk.close()


def test_an_error_of_one_file_is_not_another_s(tmp_path: Path) -> None:
    """Each gets its own result."""
    disk = Disk(os.fsencode(tmp_path), whole=False)
    good = os.open(tmp_path / "good", os.O_WRONLY | os.O_CREAT, 0o600)
    read, write = os.pipe()  # can't be synced
    errors = disk.sync_files([good, write])
    for fd in (good, read, write):
        os.close(fd)
    assert list(errors) == [write]
    missing = os.fsencode(tmp_path / "missing")
    assert list(disk.sync_folders([os.fsencode(tmp_path), missing])) == [missing]
    disk.close()


PROGRAM = """
import os, sys
from pathlib import Path
from appliance.local.content import Content
from appliance.local.disk import Disk
from appliance.local.maildir import Attempt, Letter, Maildirs
root = os.fsencode(sys.argv[1])
disk = Disk(root, sys.argv[2] == "syncfs")
letters = [Letter(root + b"/%d/Maildir" % (n % 2), b"", Content(b"x", 1), Attempt()) for n in range(4)]
Maildirs(root, disk).deliver(letters)
assert all(letter.attempt.failure is None for letter in letters)
"""

BATCH = """
letters = [Letter(root + b"/0/Maildir", b"", Content(b"x", 1), Attempt())]
Maildirs(root, disk).deliver(letters)
"""


@pytest.mark.parametrize("how", ["syncfs", "fdatasync"])
def test_trap_14_contents_are_durable_before_names_and_names_before_success(tmp_path: Path, how: str) -> None:
    """The order of system calls: write, sync, rename, sync; qmail forgets the last one (trap 14)."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    calls = "trace=writev,fdatasync,syncfs,rename,fsync"
    mail = tmp_path / "mail"
    mail.mkdir()
    subprocess.run(["strace", "-f", "-o", trace, "-e", calls, sys.executable, "-c", PROGRAM, mail, how], check=True)
    names = [line.split(None, 1)[1].partition("(")[0] for line in trace.read_text().splitlines() if "(" in line]
    if how == "syncfs":
        assert names == ["writev"] * 4 + ["syncfs"] + ["rename"] * 4 + ["syncfs"]
    else:
        assert names[:12] == ["writev"] * 4 + ["fdatasync"] * 4 + ["rename"] * 4
        # two new/, their two Maildirs and two homes, and the folder of all
        assert names[12:] == ["fsync"] * 7


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_failing_sync_is_reported_and_nothing_called_delivered(tmp_path: Path, call: str) -> None:
    """EIO of the disk is temporary for those it hits."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    program = PROGRAM.replace("assert all(letter.attempt.failure is None for letter in letters)", "")
    program += "print(sum(letter.attempt.failure is None for letter in letters))"
    command = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:error=EIO"]
    command += [sys.executable, "-c", program, str(tmp_path), "fdatasync"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"0\n"


@pytest.mark.parametrize("when", [1, 2])
def test_a_failing_syncfs_leaves_nothing_delivered(tmp_path: Path, when: int) -> None:
    """It says not whose file it was: of contents and of names alike, a second sync might call good what is lost."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    failed = "assert all(letter.attempt.failure.errno == 5 for letter in letters)"
    program = PROGRAM.replace("assert all(letter.attempt.failure is None for letter in letters)", failed)
    program += "assert not any(os.listdir(letter.folder + b'/new') for letter in letters)"
    program += BATCH + "assert letters[0].attempt.failure is None"  # file by file now
    trace, mail = tmp_path / "trace", tmp_path / "mail"
    mail.mkdir()
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=syncfs,fdatasync,fsync"]
    command += ["-e", f"inject=syncfs:error=EIO:when={when}", sys.executable, "-c", program, str(mail), "syncfs"]
    subprocess.run(command, check=True)
    assert trace.read_text().count("fdatasync(") == 1


@pytest.mark.parametrize(("microseconds", "then"), [(30_000, "syncfs"), (0, "fdatasync")])
def test_a_slow_syncfs_is_left_only_for_something_quicker(tmp_path: Path, microseconds: int, then: str) -> None:
    """Where a sync of each file takes no less, it is the disk that is slow."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    mail = tmp_path / "mail"
    mail.mkdir()
    slow = ["-e", "inject=syncfs:delay_exit=150000", "-e", f"inject=fdatasync,fsync:delay_exit={microseconds}"]
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=syncfs,fdatasync,fsync", *slow]
    subprocess.run([*command, sys.executable, "-c", PROGRAM + BATCH, str(mail), "syncfs"], check=True)
    names = [line.split(None, 1)[1].partition("(")[0] for line in trace.read_text().splitlines() if "(" in line]
    assert names[0] == "syncfs"
    assert names[1:8] == ["fsync"] * 7  # the folders, one by one
    assert names[8] == then  # the next batch
