"""Delivery into an mbox, on a real disk, beside real readers."""

import fcntl
import mailbox
import os
import resource
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.errors import Temporary
from appliance.local import mbox
from appliance.local.content import Content

HEAD = b"Return-Path: <s@x.example>\nDelivered-To: a@b.example\n"
FROM = b"From s@x.example Thu Jan 01 00:00:00 1970\n"
TEXT = b"Subject: hi\n\nFrom here on\nend\n"


def deliver(path: Path, text: bytes = TEXT) -> None:
    mbox.deliver(os.fsencode(path), os.fsencode(path.parent), FROM, HEAD, Content(text, len(text)))


def test_a_message_is_appended_and_can_be_read_back(tmp_path: Path) -> None:
    """Two deliveries are two messages, of which nobody else may read a byte."""
    path = tmp_path / "Mailbox"
    deliver(path)
    deliver(path, b"Subject: two\n\nlast line without end")
    assert path.read_bytes().startswith(FROM + HEAD + b"Subject: hi\n\n>From here on\nend\n\n" + FROM)
    assert path.stat().st_mode & 0o007 == 0
    read = mailbox.mbox(str(path))
    assert [message["subject"] for message in read] == ["hi", "two"]
    assert read[1].get_payload() == "last line without end\n"
    read.close()


@pytest.mark.parametrize("left", [FROM, FROM + HEAD + b"Subject: half\n\nbroken o", FROM + HEAD + TEXT, b"x"])
def test_a_message_that_a_crash_broke_off_takes_no_other_with_it(tmp_path: Path, left: bytes) -> None:
    """The next one begins after an empty line, as readers look for it, wherever the end came."""
    path = tmp_path / "Mailbox"
    path.write_bytes(left)
    deliver(path)
    assert path.read_bytes().startswith(left)
    assert path.read_bytes()[len(left) :].lstrip(b"\n") == FROM + HEAD + TEXT.replace(b"From", b">From") + b"\n"
    assert path.read_bytes().endswith(b"\n\n" + FROM + HEAD + TEXT.replace(b"From", b">From") + b"\n")
    read = mailbox.mbox(str(path))
    assert list(read)[-1].get_payload() == ">From here on\nend\n"
    read.close()


def test_a_large_message_is_read_from_its_descriptor(tmp_path: Path) -> None:
    """It is quoted chunk by chunk."""
    text = b"Subject: large\n\n" + b"From x\n" * 200_000
    source = tmp_path / "body"
    source.write_bytes(text)
    content = Content(None, len(text), os.open(source, os.O_RDONLY))
    mbox.deliver(os.fsencode(tmp_path / "box"), os.fsencode(tmp_path), FROM, HEAD, content)
    content.close()
    stored = (tmp_path / "box").read_bytes()
    assert stored == FROM + HEAD + text.replace(b"From", b">From") + b"\n"


def test_a_missing_folder_of_a_mailbox_is_made(tmp_path: Path) -> None:
    """The first mail to a mailbox finds no home; outside the mailboxes nothing is made."""
    path = tmp_path / "example.org" / "alice" / "Mailbox"
    mbox.deliver(os.fsencode(path), os.fsencode(tmp_path), FROM, HEAD, Content(TEXT, len(TEXT)))
    assert path.exists()
    with pytest.raises(FileNotFoundError):
        mbox.deliver(b"/nowhere/box", os.fsencode(tmp_path), FROM, HEAD, Content(TEXT, len(TEXT)))


@pytest.mark.parametrize("by", ["flock", "record"])
def test_a_locked_mbox_is_waited_for(tmp_path: Path, by: str) -> None:
    """Whoever holds it by flock or by a record lock is let finish."""
    path = tmp_path / "Mailbox"
    path.write_bytes(b"")
    with path.open("rb+") as holder:
        pid = 0
        (ready, tell), (wait, release) = os.pipe(), os.pipe()
        if by == "flock":
            fcntl.flock(holder, fcntl.LOCK_EX)
        else:
            pid = os.fork()
            if not pid:  # a record lock belongs to a process
                fcntl.lockf(holder, fcntl.LOCK_EX)
                os.write(tell, b"x")
                os.read(wait, 1)
                os._exit(0)
            os.read(ready, 1)
        thread = threading.Thread(target=deliver, args=(path,))
        thread.start()
        time.sleep(0.15)
        assert path.stat().st_size == 0
        if by == "flock":
            fcntl.flock(holder, fcntl.LOCK_UN)
        os.write(release, b"x")
        thread.join(60)
        if pid:
            os.waitpid(pid, 0)
    for fd in (ready, tell, wait, release):
        os.close(fd)
    assert path.read_bytes().startswith(FROM)


def test_a_lock_that_is_never_given_up_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail is tried again later, and nothing was written."""
    monkeypatch.setattr(mbox, "LOCK_WITHIN", 0.1)
    path = tmp_path / "Mailbox"
    path.write_bytes(b"old")
    with path.open("rb+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(Temporary, match="locked"):
            deliver(path)
    assert path.read_bytes() == b"old"


def test_an_mbox_that_can_not_be_written_whole_is_as_before(tmp_path: Path) -> None:
    """Half a message would end in the next one; a file size limit stands for a full disk."""
    path = tmp_path / "Mailbox"
    path.write_bytes(b"From old Thu Jan 01 00:00:00 1970\n\nold\n\n")
    before = path.read_bytes()
    pid = os.fork()
    if not pid:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        try:
            deliver(path, TEXT * 100)
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_temporary(tmp_path: Path, kind: str) -> None:
    """Somebody will mend it; the mail waits and the program does not."""
    path = tmp_path / "Mailbox"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises((OSError, Temporary)):
        deliver(path)


def test_deliveries_at_the_same_time_stand_one_behind_the_other(tmp_path: Path) -> None:
    """Ten threads, a hundred messages, each whole."""
    path = tmp_path / "Mailbox"
    threads = [threading.Thread(target=lambda: [deliver(path) for _ in range(10)]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == (FROM + HEAD + b"Subject: hi\n\n>From here on\nend\n\n") * 100


def opened(path: Path) -> int:
    """How often this process has a file open."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # it was closed meanwhile
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
    return links.count(str(path.resolve()))


def test_an_mbox_that_was_replaced_while_it_was_waited_for_is_not_written_to(tmp_path: Path) -> None:
    """What is appended to a file that has no name any more is lost; the mail is tried again."""
    path = tmp_path / "Mailbox"
    path.write_bytes(b"")
    caught: list[Temporary] = []

    def late() -> None:
        try:
            deliver(path)
        except Temporary as error:
            caught.append(error)

    with path.open("rb+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        thread = threading.Thread(target=late)
        thread.start()
        while opened(path) < 2:
            time.sleep(0.01)
        (tmp_path / "new").write_bytes(b"")
        (tmp_path / "new").replace(path)
    thread.join(60)
    assert "replaced" in caught[0].text
    assert path.read_bytes() == b""
