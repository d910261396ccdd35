"""A Maildir as a session sees it, where files are not as they should be."""

import errno
import os
import pwd
import tempfile
from pathlib import Path

import pytest
from pop3d_program import fill

from appliance.pop3d.mailbox import InUse, Mailbox
from appliance.pop3d.transaction import Transaction


def whole(answer) -> bytes:
    return answer if isinstance(answer, bytes) else b"".join(answer)


@pytest.mark.skipif(os.geteuid() != 0, reason="root makes the file that another user can't read")
def test_a_file_that_can_not_be_read_is_that_messages_error():
    """The mailbox opens, the others are read; nothing that is not sure is remembered."""
    with tempfile.TemporaryDirectory(prefix="pop3d-") as folder:
        maildir = Path(folder) / "Maildir"
        paths = fill(maildir, *[b"a: b\n\n"] * 30)
        owner = pwd.getpwnam("mail").pw_uid
        for path in (Path(folder), maildir, *maildir.rglob("*")):
            os.chown(path, owner, -1)
        os.chown(paths[0], 0, -1)
        paths[0].chmod(0o600)
        read, write = os.pipe()
        if os.fork() == 0:
            os.setuid(owner)
            transaction = Transaction(Mailbox(str(maildir)))
            for line in (b"STAT\n", b"RETR 1\n", b"RETR 2\n"):
                os.write(write, whole(transaction.answer(line)))
            os._exit(0)
        os.wait()
        os.close(write)
        with os.fdopen(read, "rb") as answer:
            said = answer.read().split(b"\r\n")
        assert said[0] == b"+OK 30 %d" % (29 * 8 + 6)
        assert said[1][:15] == b"-ERR [SYS/TEMP]"
        assert said[2:5] == [b"+OK 8 octets", b"a: b", b""]
        assert not (maildir / "pop3sizes").exists()


def test_the_lock_is_the_kernels_and_ends_with_the_session(tmp_path):
    """Two programs, such as pop3d and qmail-pop3d, keep each other out; nobody has to clean up after a crash."""
    fill(tmp_path, b"a: b\n\n")
    if os.fork() == 0:
        Mailbox(str(tmp_path))
        os.kill(os.getpid(), 9)
    os.wait()
    one = Mailbox(str(tmp_path))
    with pytest.raises(InUse):
        Mailbox(str(tmp_path))
    one.close()
    Mailbox(str(tmp_path)).close()


def test_the_lock_ends_with_the_session_though_a_close_fails(tmp_path, monkeypatch):
    """A network's or a user's file system may say EIO to each close; the next session finds the mailbox free."""
    fill(tmp_path, b"a: b\n\n")
    close, mailbox = os.close, Mailbox(str(tmp_path))

    def fails(fd):
        close(fd)
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", fails)
        mailbox.close()
    Mailbox(str(tmp_path)).close()


def test_a_message_in_two_places_is_one(tmp_path):
    """Another reader was killed between link and unlink."""
    (path,) = fill(tmp_path, b"a: b\n\n")
    os.link(path, tmp_path / "cur" / f"{path.name}:2,")
    mailbox = Mailbox(str(tmp_path))
    assert len(mailbox) == 1
    mailbox.close()


def test_an_abandoned_answer_leaves_no_descriptor(tmp_path):
    """A client that leaves in the middle of a large message."""
    fill(tmp_path, b"a: b\n\n" + b"x\n" * 500_000)
    transaction = Transaction(Mailbox(str(tmp_path)))
    before = len(os.listdir("/proc/self/fd"))
    answer = transaction.answer(b"RETR 1\n")
    next(answer)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    answer.close()
    assert len(os.listdir("/proc/self/fd")) == before
    transaction.mailbox.close()
