"""Netstrings, the frame of everything that programs say to each other.

`<length>:<bytes>,` (http://cr.yp.to/proto/netstrings.txt): the reader knows the size
before the content, so nothing in the content has to be parsed or escaped.
"""

MAX_DIGITS = 9


class FramingError(ValueError):
    """The peer does not speak netstrings; nothing after this can be trusted."""


def encode(payload: bytes) -> bytes:
    """One frame."""
    return b"%d:%b," % (len(payload), payload)


class Decoder:
    """Frames out of a byte stream that arrives in arbitrary pieces.

    limit: largest payload in bytes that is accepted; a larger one is a FramingError.
    """

    __slots__ = ("_buffer", "_limit", "_need")

    def __init__(self, limit: int) -> None:
        self._buffer = b""
        self._limit = limit
        self._need = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Add `data`; return the payloads that are complete now, in order.

        Raises FramingError for a malformed or oversized frame.
        """
        buffer = self._buffer + data if self._buffer else data
        if len(buffer) < self._need:  # a large frame still on its way: do not look again
            self._buffer = buffer
            return []
        frames: list[bytes] = []
        position, end = 0, len(buffer)
        self._need = 0
        while position < end:
            colon = buffer.find(b":", position, position + MAX_DIGITS + 1)
            if colon < 0:
                if end - position > MAX_DIGITS or not buffer[position:].isdigit():
                    raise FramingError("length expected")
                break
            digits = buffer[position:colon]
            if not digits.isdigit() or (digits[:1] == b"0" and len(digits) > 1):
                raise FramingError("malformed length")
            length = int(digits)
            if length > self._limit:
                raise FramingError(f"frame of {length} bytes, at most {self._limit} allowed")
            stop = colon + 1 + length
            if stop >= end:
                self._need = stop + 1 - position
                break
            if buffer[stop] != 0x2C:
                raise FramingError("comma expected")
            frames.append(buffer[colon + 1 : stop])
            position = stop + 1
        self._buffer = buffer[position:] if position else buffer
        return frames

    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame."""
        return len(self._buffer)
