"""The journal: a file of one size into which each commit is written and synced, in order.

    record = cycle (8 bytes), length and CRC-32 of the payload (4 each, little endian), payload

Each record begins at a multiple of PAGE, so that a write which a power cut tears can't touch one that
was synced before.  A cycle begins at the start of the file, with a new random number that stands in the
database: what earlier cycles left further behind is void, and nobody who sends mail can forge a record.
The file is filled once when it is made: then a sync writes our pages and no metadata.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct

PAGE = 4096
SIZE = 8 * 1024 * 1024
_HEAD = Struct("<8sII")
_ZERO = bytes(PAGE)


class Journal:
    """The file. Raises OSError if it can't be opened or made."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        self.size = size
        self.used = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._fill()
        except BaseException:
            os.close(self._fd)
            raise

    def _fill(self) -> None:
        """A file that is shorter was never finished, or comes from a smaller configuration: its content stays."""
        length = os.fstat(self._fd).st_size
        while length < self.size:
            length += os.pwrite(self._fd, bytes(min(1 << 20, self.size - length)), length)
        os.fsync(self._fd)

    def read(self, cycle: bytes) -> Iterator[bytes]:
        """The payloads of a cycle, up to the first record that is not whole. Raises OSError."""
        position, end = 0, os.fstat(self._fd).st_size
        while position + _HEAD.size <= end:
            found, length, crc = _HEAD.unpack(os.pread(self._fd, _HEAD.size, position))
            if found != cycle or position + _HEAD.size + length > end:
                return
            payload = os.pread(self._fd, length, position + _HEAD.size)
            if zlib.crc32(payload) != crc:
                return
            yield payload
            position = _after(position + _HEAD.size + length)

    def fits(self, pieces: Sequence[bytes]) -> bool:
        """Whether there is room left in this cycle for a record of these pieces."""
        return _after(self.used + _HEAD.size + sum(map(len, pieces))) <= self.size

    def append(self, cycle: bytes, pieces: Sequence[bytes]) -> None:
        """Write a record; it is durable when this returns. Raises OSError: then it may be there or not."""
        payload = b"".join(pieces)
        head = _HEAD.pack(cycle, len(payload), zlib.crc32(payload))
        end = self.used + len(head) + len(payload)
        written = os.pwritev(self._fd, (head, payload), self.used, os.RWF_DSYNC)
        if written < len(head) + len(payload):
            raise OSError(f"only {written} bytes of a record were written")
        self.used = _after(end)

    def begin(self) -> None:
        """A new cycle: from the start."""
        self.used = 0

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


def _after(position: int) -> int:
    """Where the next record begins."""
    return -(-position // PAGE) * PAGE
