"""Which messages lie in a Maildir, in what order, and how large they are on the wire.

100,000 messages: what is kept for each is its file's name and a number, and nothing is asked of the file system that
a name tells.  `,W=n` in a name is the wire size, as Dovecot and our own deliveries write it.  Others are
counted by reading the file, once: `pop3sizes` beside cur/ and new/ remembers.
"""

import contextlib
import errno
import os
import re
import stat
from array import array
from collections.abc import Iterator
from itertools import chain

from appliance.pop3d import wire

PLACES = ("new", "cur")

_SIZE = re.compile(r",W=([0-9]{1,15})(?:[,:]|\Z)")
_TIME = re.compile(r"[0-9]{9,11}(?=\.)")
_COUNTED = 64 * 1024  # bytes of a file that are counted at once
_SENT = 64 * 1024  # and sent at once: so much waits in memory for a slow client, or twice that
_REMEMBER = 20  # sizes that had to be counted before it is worth a file
_CACHE = "pop3sizes"

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP})
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.EIO})  # one file's own fault


class Gone(Exception):
    """A message's file is not there any more, or is none."""


def base(name: str) -> str:
    """What stays of `new/…` or `cur/…` when flags change: the name up to the colon."""
    return name[4:].partition(":")[0]


def names(folders: dict[str, int]) -> list[str]:
    """`new/…` and `cur/…` of all messages, the oldest first, each message once. Raises OSError.

    qmail sorts by the file's time; ours and everybody's names begin with it.
    """
    rows: list[str] = []  # seconds/name/folder, which sort as plain text: nobody else has a turn while they do
    seen: set[str] = set()
    for place in PLACES:
        for entry in os.listdir(folders[place]):
            unique = entry.partition(":")[0]
            if entry[0] == "." or unique in seen:
                continue
            seen.add(unique)
            dated = _TIME.match(entry)
            seconds = int(dated[0]) if dated else _changed(folders[place], entry)
            rows.append(f"{seconds:011d}/{entry}/{place}")
    del seen
    rows.sort()
    for index, row in enumerate(rows):
        _, entry, place = row.split("/")
        rows[index] = f"{place}/{entry}"
    return rows


def _changed(folder: int, entry: str) -> int:
    try:
        return int(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mtime)
    except OSError:  # its size tells that it is gone
        return 0


def sizes(maildir: int, folders: dict[str, int], found: list[str]) -> tuple[list[str], "array[int]"]:
    """The messages that can be read, and their octets on the wire. Raises OSError if the disk fails."""
    kept: list[str] = []
    known: array[int] = array("q")
    remembered: dict[str, int] | None = None
    counted, sure = 0, True
    for name in found:
        told = _SIZE.search(name)
        if told:
            size = int(told[1])
        else:
            remembered = _remembered(maildir) if remembered is None else remembered
            size = remembered.get(base(name), -1)
            if size < 0:
                try:
                    size = _octets(*_opened(folders, name))
                    counted += 1
                except Gone:
                    continue
                except OSError as error:
                    if error.errno not in _UNREADABLE:
                        raise
                    size = os.stat(name[4:], dir_fd=folders[name[:3]]).st_size  # RETR will say what is wrong
                    sure = False
        kept.append(name)
        known.append(size)
    if counted >= _REMEMBER and sure:
        _remember(maildir, kept, known)
    return kept, known


def opened(folders: dict[str, int], name: str) -> int:
    """A descriptor of a message's file. Raises Gone, OSError."""
    return _opened(folders, name)[0]


def _opened(folders: dict[str, int], name: str) -> tuple[int, int]:
    """The same, and the file's size."""
    try:
        # no link leads out of the Maildir, no FIFO makes us wait
        fd = os.open(
            name[4:], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=folders[name[:3]]
        )
    except OSError as error:
        if error.errno in _GONE:
            raise Gone from error
        raise
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode):
        os.close(fd)
        raise Gone
    return fd, about.st_size


def _octets(fd: int, size: int) -> int:
    """The octets on the wire of a file of that size; closes the descriptor. Raises OSError."""
    try:
        first = os.read(fd, _COUNTED)
        if len(first) == size:  # nearly all are small: another read would only say that this is the end
            return wire.size((first,))
        return wire.size(chain((first,), iter(lambda: os.read(fd, _COUNTED), b"")))
    finally:
        os.close(fd)


def pieces(fd: int) -> Iterator[bytes]:
    """The content, piece by piece; closes the descriptor. Raises OSError."""
    try:
        while piece := os.read(fd, _SENT):
            yield piece
    finally:
        os.close(fd)


def _remembered(maildir: int) -> dict[str, int]:
    """The sizes that an earlier session counted; what is damaged is counted again."""
    found: dict[str, int] = {}
    try:
        fd = os.open(_CACHE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=maildir)
        with open(fd, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            for line in file:
                size, _, name = line.removesuffix("\n").partition(" ")
                if size.isascii() and size.isdigit() and len(size) < 16:
                    found[name] = int(size)
    except FileNotFoundError:
        pass
    return found


def _remember(maildir: int, found: list[str], known: "array[int]") -> None:
    """Write the sizes that no name tells; without them the next session counts again."""
    new = f"{_CACHE}.{os.getpid()}.{maildir}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(new, flags, 0o660, dir_fd=maildir)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            for name, size in zip(found, known, strict=True):
                if "\n" not in name and not _SIZE.search(name):
                    file.write(f"{size} {base(name)}\n")
        os.rename(new, _CACHE, src_dir_fd=maildir, dst_dir_fd=maildir)
    except OSError:  # a full disk must not keep anybody from fetching mail
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=maildir)
