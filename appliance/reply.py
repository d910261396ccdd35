"""SMTP replies as a client reads them (RFC 5321 section 4.2): strict about codes, tolerant about text.

Pure: bytes in, replies out.
"""

from collections.abc import Iterator

LINES = 1000  # of one reply; RFC 5321 sets no limit, a peer that never ends one must not fill memory
BYTES = 64 * 1024  # of one reply
# RFC 5321 section 4.2: first digit 2 to 5, second 0 to 5; the third is any
_CODES = {b"%d%d%d" % (a, b, c): a * 100 + b * 10 + c for a in range(2, 6) for b in range(10) for c in range(10)}


class ReplyError(ValueError):
    """The peer does not speak SMTP; nothing after this can be trusted."""


class Reply:
    """One reply: its code, and its text with the codes, lines separated by LF."""

    __slots__ = ("code", "text")

    def __init__(self, code: int, text: bytes) -> None:
        self.code = code
        self.text = text

    def __repr__(self) -> str:
        return f"Reply({self.code}, {self.text!r})"

    @property
    def lines(self) -> list[bytes]:
        """The text of each line, without its code."""
        return [line[4:] for line in self.text.split(b"\n")]


class Parser:
    """Replies out of a byte stream that arrives in arbitrary pieces."""

    __slots__ = ("_buffer", "_lines", "_size")

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []  # of a reply with more to come
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Add `data`; give the replies that are complete now, in order.

        Raises ReplyError, after what came before the offending line.
        """
        if self._buffer:
            data = self._buffer + data
        *lines, self._buffer = data.split(b"\n")
        for line in lines:
            if line[-1:] == b"\r":  # a bare LF ends a line too: there is nothing to smuggle in a reply
                line = line[:-1]  # noqa: PLW2901  # the line without its end is the line
            code = _CODES.get(line[:3])
            more = line[3:4]
            if code is None or more not in b" -" or len(line) > BYTES:
                raise ReplyError(f"not an SMTP reply: {line[:80]!r}")
            if more != b"-" and not self._lines:
                yield Reply(code, line)
                continue
            self._lines.append(line)
            self._size += len(line)
            if len(self._lines) > LINES or self._size > BYTES:
                raise ReplyError("an SMTP reply without end")
            if more != b"-":
                # RFC 5321 section 4.2.1: all lines have the same code; if not, the last one decides, as in qmail
                text, self._lines, self._size = b"\n".join(self._lines), [], 0
                yield Reply(code, text)
        if len(self._buffer) > BYTES:
            raise ReplyError(f"not an SMTP reply: {self._buffer[:80]!r} and so on")
