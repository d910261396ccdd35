"""The content of a message that is being delivered: in memory if it is small, never if it is large.

A large one is a descriptor that the queue opened; its offset is shared with the queue, so it
is only read at explicit offsets.
"""

import fcntl
import os
from collections.abc import Iterator

from appliance import safeio

_CHUNK = 256 * 1024
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_HEADER = 1024 * 1024  # bytes of a large message in which the end of its header is looked for


class Content:
    """Bytes, or a descriptor of `size` bytes that is closed by `close`."""

    __slots__ = ("_data", "_fd", "size")

    def __init__(self, data: bytes | None, size: int, fd: int = -1) -> None:
        self._data = data
        self._fd = fd
        self.size = size

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def descriptor(self) -> int:
        """A descriptor at offset 0 to read it from, for one reader; the caller closes it. Raises OSError."""
        if self._data is None:
            fd = os.dup(self._fd)
            os.lseek(fd, 0, os.SEEK_SET)
            return fd
        fd = os.memfd_create("message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            safeio.write_all(fd, self._data)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            os.lseek(fd, 0, os.SEEK_SET)
        except OSError:
            os.close(fd)
            raise
        return fd

    def wire_size(self, head: bytes) -> int | None:
        """Octets of `head` and the content with CRLF at each line's end; None if that takes more than a look."""
        data = self._data
        if data is None or not data.endswith(b"\n") or b"\r" in data:
            return None
        return len(head) + head.count(b"\n") + len(data) + data.count(b"\n")

    def write_to(self, fd: int, head: bytes) -> None:
        """Write `head` and the content. Raises OSError."""
        if self._data is not None:
            written = os.writev(fd, (head, self._data))
            if written < len(head) + len(self._data):
                safeio.write_all(fd, (head + self._data)[written:])
            return
        safeio.write_all(fd, head)
        offset = 0
        while offset < self.size:
            sent = os.sendfile(fd, self._fd, offset, min(_CHUNK * 16, self.size - offset))
            if not sent:
                raise OSError(f"the content ends after {offset} of {self.size} bytes")
            offset += sent

    def chunks(self, head: bytes) -> Iterator[bytes]:
        """`head` and the content, piece by piece. Raises OSError."""
        yield head
        if self._data is not None:
            yield self._data
            return
        offset = 0
        while offset < self.size:
            chunk = os.pread(self._fd, _CHUNK, offset)
            if not chunk:
                raise OSError(f"the content ends after {offset} of {self.size} bytes")
            yield chunk
            offset += len(chunk)

    def names(self, line: bytes) -> bool:
        """Does the header hold exactly this line (with its LF)? Raises OSError."""
        data = self._data
        if data is None:
            data = self._beginning()
        if line not in data:  # nearly always; memmem is all that it costs
            return False
        header = data[: data.find(b"\n\n") + 1] if b"\n\n" in data else data
        return not data.startswith(b"\n") and (header.startswith(line) or b"\n" + line in header)

    def _beginning(self) -> bytes:
        """The header of a large message, or its first MiB."""
        data = b""
        while b"\n\n" not in data and len(data) < min(self.size, _HEADER):
            chunk = os.pread(self._fd, _CHUNK, len(data))
            if not chunk:
                break
            data += chunk
        return data
