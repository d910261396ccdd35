"""Netstrings, the frame of everything that programs say to each other.

`<length>:<bytes>,` (http://cr.yp.to/proto/netstrings.txt): the reader knows the size
before the content, so nothing in the content has to be parsed or escaped.
"""

MAX_DIGITS = 9
_CRUMB = 1024  # bytes; smaller pieces of a payload are put together as they come, for each costs more than it brings


class FramingError(ValueError):
    """The peer does not speak netstrings; nothing after this can be trusted."""


def encode(payload: bytes) -> bytes:
    """One frame."""
    return b"%d:%b," % (len(payload), payload)


class Decoder:
    """Frames out of a byte stream that arrives in arbitrary pieces.

    limit: largest payload in bytes that is accepted; a larger one is a FramingError.  It may change between frames.
    A large payload is put together once, when all of it is there.
    """

    __slots__ = ("_crumbs", "_missing", "_pieces", "_start", "_whole", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._start = b""  # of a frame, up to its colon at most
        self._whole = 0  # bytes of a payload whose length is known, and its comma
        self._pieces: list[bytes | bytearray | memoryview] = []  # of it, so far
        self._crumbs = bytearray()  # the last of them, if it is one that grows
        self._missing = 0  # bytes of it still to come, and its comma

    def feed(self, data: bytes) -> list[bytes]:
        """Add `data`; return the payloads that are complete now, in order.

        Raises FramingError for a malformed or oversized frame.
        """
        frames: list[bytes] = []
        position = 0
        if self._missing:
            if len(data) < self._missing:
                self._keep(data)
                self._missing -= len(data)
                return frames
            position = self._missing
            _expect_comma(data, position - 1)
            frames.append(b"".join((*self._pieces, memoryview(data)[: position - 1])))
            self._pieces, self._missing = [], 0
        elif self._start:
            data, self._start = self._start + data, b""
        end = len(data)
        while position < end:
            colon = data.find(b":", position, position + MAX_DIGITS + 1)
            if colon < 0:
                if end - position > MAX_DIGITS or not data[position:].isdigit():
                    raise FramingError("length expected")
                self._start = data[position:]
                break
            digits = data[position:colon]
            if not digits.isdigit() or (digits[:1] == b"0" and len(digits) > 1):
                raise FramingError("malformed length")
            length = int(digits)
            if length > self.limit:
                raise FramingError(f"frame of {length} bytes, at most {self.limit} allowed")
            stop = colon + 1 + length
            if stop >= end:
                self._pieces, self._missing, self._whole = [memoryview(data)[colon + 1 :]], stop + 1 - end, length + 1
                break
            if data[stop] != 0x2C:
                raise FramingError("comma expected")
            frames.append(data[colon + 1 : stop])
            position = stop + 1
        return frames

    def _keep(self, data: bytes) -> None:
        if len(data) >= _CRUMB:
            self._pieces.append(data)
            return
        if self._pieces[-1] is not self._crumbs or len(self._crumbs) >= 64 * _CRUMB:
            self._crumbs = bytearray()
            self._pieces.append(self._crumbs)
        self._crumbs += data

    @property
    def kept(self) -> int:
        """Bytes of a payload that is not complete."""
        return self._whole - self._missing if self._missing else 0

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._missing or self._start)


def _expect_comma(data: bytes, position: int) -> None:
    if data[position] != 0x2C:
        raise FramingError("comma expected")
