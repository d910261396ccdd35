"""The log of dm-log-writes: each write in the order in which it was sure to be on the disk.

Source: the kernel's Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

_SUPER = Struct("<QQQI")  # magic, version, entries, bytes of a sector
_ENTRY = Struct("<QQQQ")  # sector, sectors, flags, bytes of a mark
_MAGIC = 0x6A736677736872
_DISCARD, _MARK = 4, 8


class Entry(NamedTuple):
    """A write of `length` bytes to `start`, which stand at `offset` of the log; or a mark."""

    start: int
    length: int
    offset: int
    mark: str
    discard: bool


def entries(path: Path) -> Iterator[Entry]:
    """All entries in order. Raises ValueError if it is no such log, OSError."""
    with path.open("rb") as log:
        magic, _, count, sector = _SUPER.unpack(log.read(_SUPER.size))
        if magic != _MAGIC:
            raise ValueError(f"{path} is not a log of dm-log-writes")
        position = sector
        for _ in range(count):
            log.seek(position)
            start, length, flags, size = _ENTRY.unpack(log.read(_ENTRY.size))
            mark = log.read(size).rstrip(b"\0").decode() if flags & _MARK else ""
            position += sector
            discard = bool(flags & _DISCARD)
            yield Entry(start * sector, length * sector, position, mark, discard)
            position += 0 if discard else length * sector


def replay(entry: Entry, log: BinaryIO, disk: BinaryIO) -> None:
    """Write an entry where it belongs; what is discarded is zeros then."""
    if entry.mark or not entry.length:
        return
    log.seek(entry.offset)
    disk.seek(entry.start)
    disk.write(bytes(entry.length) if entry.discard else log.read(entry.length))
