"""maildirmake and maildir2mbox, run as an operator runs them."""

import mailbox
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def run(name: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / name, *words], check=False, capture_output=True, text=True, env={**os.environ, **env}, timeout=20
    )


def test_maildirmake_makes_an_empty_maildir_for_its_owner_only(tmp_path: Path) -> None:
    """Twice is an error, for somebody's mail may be there."""
    box = tmp_path / "Maildir"
    assert run("maildirmake", str(box)).returncode == 0
    assert sorted(path.name for path in box.iterdir()) == ["cur", "new", "tmp"]
    assert {path.stat().st_mode & 0o777 for path in (box, *box.iterdir())} == {0o700}
    again = run("maildirmake", str(box))
    assert (again.returncode, "exists" in again.stderr) == (111, True)
    assert run("maildirmake").returncode == 100


def move(folder: Path) -> subprocess.CompletedProcess[str]:
    return run("maildir2mbox", MAILDIR=str(folder / "Maildir"), MAIL=str(folder / "mbox"), MAILTMP=str(folder / "tmp"))


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A folder with a Maildir."""
    assert run("maildirmake", str(tmp_path / "Maildir")).returncode == 0
    return tmp_path


def letter(box: Path, name: str, text: bytes, when: int = 1_700_000_000) -> None:
    path = box / "Maildir" / name
    path.write_bytes(text)
    os.utime(path, (when, when))


def test_maildir2mbox_moves_the_oldest_first_behind_what_is_there(box: Path) -> None:
    """The mbox grows by the messages, and they leave the Maildir."""
    (box / "mbox").write_bytes(b"From old Thu Jan 01 00:00:00 1970\nSubject: old\n\nold\n\n")
    letter(box, "new/2", b"Return-Path: <b@x.example>\nSubject: second\n\nFrom here\n", 1_700_000_100)
    letter(box, "cur/1:2,S", b"Subject: first\n\nx\n")
    assert move(box).returncode == 0
    read = mailbox.mbox(str(box / "mbox"))
    assert [message["subject"] for message in read] == ["old", "first", "second"]
    read.close()
    stored = (box / "mbox").read_bytes()
    assert b"From XXX Tue Nov 14 22:13:20 2023\nSubject: first" in stored
    assert b"From b@x.example Tue Nov 14 22:15:00 2023\n" in stored
    assert b"\n>From here\n\n" in stored
    assert not [*(box / "Maildir" / "new").iterdir(), *(box / "Maildir" / "cur").iterdir()]


def test_maildir2mbox_leaves_what_is_still_written_and_removes_what_was_given_up(box: Path) -> None:
    """As every reader of a Maildir: files in tmp/ go after 36 hours; messages of this very second wait, hidden ones stay."""
    for name, age in (("tmp/old", 130_000), ("tmp/new", 129_000), ("new/now", -60), ("new/.hidden", 100)):
        letter(box, name, b"Subject: s\n\nx\n", int(time.time()) - age)
    assert move(box).returncode == 0
    assert [path.name for path in (box / "Maildir" / "tmp").iterdir()] == ["new"]
    assert sorted(path.name for path in (box / "Maildir" / "new").iterdir()) == [".hidden", "now"]
    assert not (box / "mbox").exists()


def test_trap_35_a_last_line_without_an_end_is_kept(box: Path) -> None:
    """In qmail, maildir2mbox drops it and removes the message."""
    letter(box, "new/1", b"Subject: s\n\nlast words")
    assert move(box).returncode == 0
    assert (box / "mbox").read_bytes().endswith(b"\nlast words\n\n")


def test_what_can_not_be_written_leaves_the_maildir_as_it_was(box: Path) -> None:
    """A folder in the way of $MAILTMP: 111, and nothing is lost."""
    letter(box, "new/1", b"Subject: s\n\nx\n")
    (box / "tmp").mkdir()
    assert move(box).returncode == 111
    assert (box / "Maildir" / "new" / "1").exists()
    assert run("maildir2mbox", MAILDIR="x").returncode == 111


def test_maildirs_without_mail_change_nothing(box: Path) -> None:
    """Not even the mbox's time."""
    (box / "mbox").write_bytes(b"")
    before = (box / "mbox").stat().st_mtime_ns
    assert move(box).returncode == 0
    assert (box / "mbox").stat().st_mtime_ns == before
