"""Content as it goes on the wire: LF becomes CRLF, dots are stuffed, the last line ends.

The one place where stored LF becomes CRLF.  A bare CR or LF never leaves: a stored CR, CRLF or LF
is one line end each, and a dot is stuffed after every line end that is sent (RFC 5321 sections
2.3.8 and 4.5.2).  qmail turns CR into CRLF without stuffing, which smuggles; it fails a
message whose last line has no end, we end it.  NULs are left out: no mail may hold them (RFC 2045
section 2.8), and to a server that drops them itself CRLF NUL dot CRLF would be an end.
"""

DOT = b".\r\n"


def encode(content: bytes) -> bytes:
    """A whole content, without the final dot."""
    if b"\0" in content:
        content = content.replace(b"\0", b"")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    if content[:1] == b".":
        content = b"." + content
    if content and content[-1] != 0x0A:
        content += b"\n"
    return content.replace(b"\n", b"\r\n")


class Encoder:
    """The same for a content that comes in chunks, cut anywhere."""

    __slots__ = ("_held_cr", "_line_start")

    def __init__(self) -> None:
        self._held_cr = False  # a CR at a chunk's end: the next one may begin with its LF
        self._line_start = True

    def feed(self, chunk: bytes) -> bytes:
        """What a chunk adds to the wire."""
        if b"\0" in chunk:
            chunk = chunk.replace(b"\0", b"")
        if self._held_cr:
            chunk = b"\r" + chunk
        self._held_cr = chunk[-1:] == b"\r"
        if self._held_cr:
            chunk = chunk[:-1]
        if not chunk:
            return b""
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n." in chunk:
            chunk = chunk.replace(b"\n.", b"\n..")
        if self._line_start and chunk[:1] == b".":
            chunk = b"." + chunk
        self._line_start = chunk[-1] == 0x0A
        return chunk.replace(b"\n", b"\r\n")

    def finish(self) -> bytes:
        """The last line's end, if the content lacks it; not the final dot."""
        if self._line_start and not self._held_cr:
            return b""
        return b"\r\n"
