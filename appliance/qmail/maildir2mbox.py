"""`maildir2mbox`: move all messages of $MAILDIR to the mbox $MAIL, by way of the file $MAILTMP.

The mbox with the messages behind it is written anew, synced and renamed over the old one before any message
is removed: at no instant is one of them nowhere.  Unlike qmail's it loses no last line without an end.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from appliance import safeio
from appliance.command import TEMPORARY, die
from appliance.message import mbox

NAME = "maildir2mbox"
_ABANDONED = 129600  # seconds after which a file in tmp/ is nobody's
_CHUNK = 256 * 1024
_RETURN_PATH = b"Return-Path: <"


def letters(maildir: Path, now: float) -> list[Path]:
    """The messages in new/ and cur/, the oldest first; abandoned files in tmp/ are removed. Raises OSError."""
    for path in (maildir / "tmp").iterdir():
        if now - path.stat().st_atime > _ABANDONED:
            path.unlink()
    found: list[tuple[float, Path]] = []
    for folder in ("new", "cur"):
        paths = ((path.stat().st_mtime, path) for path in (maildir / folder).iterdir() if path.name[0] != ".")
        found.extend((when, path) for when, path in paths if when < now)
    return [path for _, path in sorted(found)]


def stored(path: Path) -> Iterator[bytes]:
    """A message as it stands in the mbox. Raises OSError."""
    with path.open("rb") as file:
        first = file.readline(4096)
        sender = b"XXX"
        if first.startswith(_RETURN_PATH) and first.endswith(b">\n"):
            sender = first[len(_RETURN_PATH) : -2]
        yield mbox.from_line(sender, path.stat().st_mtime)
        file.seek(0)
        yield from mbox.quoted(iter(lambda: file.read(_CHUNK), b""))


def move(maildir: Path, mail: Path, temporary: Path) -> int:
    """Move all; returns how many. Raises OSError."""
    found = letters(maildir, time.time())
    if not found:
        return 0
    with mail.open("ab+") as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        if not os.path.samestat(os.fstat(old.fileno()), mail.stat()):
            raise OSError(errno.EAGAIN, "another program has just replaced it", str(mail))
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            old.seek(0)
            while chunk := old.read(_CHUNK):
                safeio.write_all(fd, chunk)
            for path in found:
                for chunk in stored(path):
                    safeio.write_all(fd, chunk)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(mail)
        safeio.sync_directory(mail.parent)
    for path in found:
        path.unlink()
    return len(found)


def main() -> int:
    """Move the messages; 0 (also if there are none), 111 if something fails: then no message is removed."""
    names = ("MAILDIR", "MAIL", "MAILTMP")
    for name in names:
        if name not in os.environ:
            die(
                TEMPORARY,
                NAME,
                f"{name} not set; {', '.join(names)} say what to move, where to, and where to write it first",
            )
    os.umask(0o077)
    try:
        move(*(Path(os.environ[name]) for name in names))
    except OSError as error:
        die(TEMPORARY, NAME, f"{error.filename or 'cannot move'}: {error.strerror}")
    return 0
