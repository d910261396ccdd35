"""Delivery into an mbox file: locked, appended, made durable, or as long as before.

Locked against all that read mboxes on this host: by flock as qmail does, and by a record lock, which
Dovecot and mail readers use; no dot-lock file.  qmail goes on without a lock if the file system has none; we don't.
"""

import errno
import fcntl
import os
import stat
import struct
import time

from appliance import safeio
from appliance.errors import Temporary
from appliance.local.content import Content
from appliance.local.maildir import make_folder
from appliance.message import mbox

LOCK_WITHIN = 30.0  # seconds
_AGAIN = 0.05  # seconds between two attempts to lock
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
_durable: set[bytes] = set()  # mboxes whose names this process has synced
_WHOLE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock of 64-bit Linux


def deliver(
    path: bytes, mail: bytes, from_line: bytes, head: bytes, content: Content, home: bytes | None = None
) -> None:
    """Append a message: `from_line`, then `head` and `content` quoted. Blocks; durable when it returns.

    mail: the folder of all mailboxes: below it, a missing folder is made.  home: where the file must lie, links
    followed: a mailbox's programs make links as they like, and must not write to others' files by our hand.
    Raises OSError, Temporary (locked).
    """
    fd, new = _open(path, mail)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Temporary(451, "4.2.1", "the mbox is not a file")
        if home is not None and not os.readlink(b"/proc/self/fd/%d" % fd).startswith(os.path.realpath(home) + b"/"):
            raise Temporary(451, "4.2.1", "the mbox lies outside the mailbox's home")
        _lock(fd)
        if not os.path.samestat(status, os.stat(path)):  # maildir2mbox and the like rename a new one over it
            raise Temporary(451, "4.3.0", "another program has just replaced the mbox")
        size = os.fstat(fd).st_size
        try:
            safeio.write_all(fd, _apart(fd, size) + from_line)
            for chunk in mbox.quoted(content.chunks(head)):
                safeio.write_all(fd, chunk)
            os.fsync(fd)
        except BaseException:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)  # and with it the locks
    if new or path not in _durable:  # an attempt that failed, or was killed, may have made it
        _sync_names(path, mail)
        _durable.add(path)


def _sync_names(path: bytes, mail: bytes) -> None:
    """Make the file's name durable, and those of the folders above it, up to that of all mailboxes."""
    folder = os.path.dirname(path)
    safeio.sync_directory(os.fsdecode(folder))
    while folder.startswith(mail + b"/"):
        folder = os.path.dirname(folder)
        safeio.sync_directory(os.fsdecode(folder))


def _apart(fd: int, size: int) -> bytes:
    """What a file needs that ends in a message which a crash broke off: else ours would be read as the rest of that."""
    end = os.pread(fd, 2, max(size - 2, 0))
    return b"" if end in (b"", b"\n\n") else b"\n" if end.endswith(b"\n") else b"\n\n"


def _open(path: bytes, mail: bytes) -> tuple[int, bool]:
    """The file, and whether it may be new."""
    try:
        return os.open(path, _FLAGS), False
    except FileNotFoundError:
        folder = os.path.dirname(path)
        if folder.startswith(mail + b"/"):
            make_folder(folder)
        return os.open(path, _FLAGS | os.O_CREAT, 0o660), True


def _lock(fd: int) -> None:
    until = time.monotonic() + LOCK_WITHIN
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # of the open file, not of the process: another thread's close must not end it
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WHOLE)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise Temporary(451, "4.3.0", "the mbox can't be locked", error) from error
            fcntl.flock(fd, fcntl.LOCK_UN)  # the other one may take them in the other order
            if time.monotonic() > until:
                raise Temporary(451, "4.3.0", "the mbox is locked by another program") from error
            time.sleep(_AGAIN)
        else:
            return
