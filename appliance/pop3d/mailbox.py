"""A Maildir as one session sees it: opened once, the same numbers until the end (RFC 1939 section 5).

Nobody else may have it open by POP3 meanwhile: the kernel holds a lock (flock) on the folder, which
ends with the session, however that ends.  Other readers may move and remove files all the time.

Everything here blocks; the server calls it from threads.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from hashlib import blake2b

from appliance.pop3d import listing, wire
from appliance.pop3d.listing import Gone

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OLD = 36 * 3600  # seconds after which nobody writes a file in tmp/ any more (maildir(5))
_SLICE = 500  # files that are moved or removed before other sessions have a turn
_LINE = 64 * 1024  # bytes of a line that TOP holds at once
_TOGETHER = 64 * 1024  # bytes of short lines


class InUse(Exception):
    """Another session has the mailbox."""


class Mailbox:
    """The messages, by their numbers from 0.

    path    the Maildir
    inside  it and its folders may be no links: whoever may write there must not lead us to others' mail
    Raises InUse; OSError if it can't be opened.
    """

    def __init__(self, path: str, *, inside: bool = False) -> None:
        self._maildir = os.open(path, _FOLDER | (os.O_NOFOLLOW if inside else 0))
        self._folders: dict[str, int] = {}
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            try:
                fcntl.flock(self._maildir, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InUse from error
            flags = _FOLDER | (os.O_NOFOLLOW if inside else 0)
            for place in listing.PLACES:
                self._folders[place] = os.open(place, flags, dir_fd=self._maildir)
            _clean(os.open("tmp", flags, dir_fd=self._maildir))
            self._changed = self._times()
            self.names, self.sizes = listing.sizes(self._maildir, self._folders, listing.names(self._folders))
            undo.pop_all()
        self.deleted = bytearray(len(self.names))

    def close(self) -> None:
        """Let go of it, and of the lock."""
        fcntl.flock(self._maildir, fcntl.LOCK_UN)  # whatever comes of the closes
        for fd in (*self._folders.values(), self._maildir):
            with contextlib.suppress(OSError):  # close(2), EIO: it is closed all the same, and was only read
                os.close(fd)
        self._folders.clear()

    def __len__(self) -> int:
        return len(self.names)

    def uid(self, index: int) -> bytes:
        """The name up to its colon, as qmail; a digest of it where RFC 1939 section 7 does not allow that."""
        name = os.fsencode(listing.base(self.names[index]))
        if len(name) <= 70 and name.isascii() and b" " not in name and name.decode().isprintable():
            return name
        return blake2b(name, digest_size=20).hexdigest().encode()

    def message(self, index: int) -> Iterator[bytes]:
        """The lines to send for a message. Raises Gone, OSError before the first of them."""
        return wire.message(listing.pieces(self._open(index)))

    def top(self, index: int, lines: int) -> Iterator[bytes]:
        """The header and the first lines of the body. Raises Gone, OSError before the first of them."""
        return wire.message(_together(wire.top(_lines(self._open(index)), lines)))

    def update(self) -> Iterator[int]:
        """Remove what is marked, move the rest of new/ to cur/; yields now and then.

        Yields the number of deleted messages that could not be removed.
        """
        failed = 0
        for index in range(len(self.names)):
            if self.deleted[index]:
                failed += not self._remove(index)
            elif self.names[index].startswith("new/"):
                self._move(index)
            if index % _SLICE == _SLICE - 1:
                yield failed
        yield failed

    def _open(self, index: int) -> int:
        try:
            return listing.opened(self._folders, self.names[index])
        except Gone:
            if not self._look_again():
                raise
            return listing.opened(self._folders, self.names[index])

    def _remove(self, index: int) -> bool:
        for _ in range(2):
            name = self.names[index]
            try:
                os.unlink(name[4:], dir_fd=self._folders[name[:3]])
            except FileNotFoundError:
                if not self._look_again() or self.names[index] == name:
                    return True  # somebody else has removed it
            except OSError:
                return False
            else:
                return True
        return False

    def _move(self, index: int) -> None:
        """A message that was seen is not new any more; if that fails, it stays so."""
        name = self.names[index][4:]
        seen = name if ":" in name else f"{name}:2,"
        with contextlib.suppress(OSError):
            os.rename(name, seen, src_dir_fd=self._folders["new"], dst_dir_fd=self._folders["cur"])

    def _look_again(self) -> bool:
        """Files are not where they were: another reader changes flags. False if nothing has changed since."""
        changed = self._times()
        if changed == self._changed:
            return False
        self._changed = changed
        now = {listing.base(name): name for name in listing.names(self._folders)}
        for index, name in enumerate(self.names):
            self.names[index] = now.get(listing.base(name), name)
        return True

    def _times(self) -> list[int]:
        return [os.fstat(self._folders[place]).st_mtime_ns for place in listing.PLACES]


def _clean(folder: int) -> None:
    """Remove what writers left behind in tmp/; closes the descriptor. Raises OSError."""
    long_ago = time.time() - _OLD
    try:
        for entry in os.listdir(folder):
            with contextlib.suppress(OSError):  # somebody else cleans, too
                about = os.stat(entry, dir_fd=folder, follow_symlinks=False)
                if max(about.st_atime, about.st_mtime) < long_ago:
                    os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)


def _lines(fd: int) -> Iterator[bytes]:
    with open(fd, "rb") as file:
        while line := file.readline(_LINE):
            yield line


def _together(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _TOGETHER:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
