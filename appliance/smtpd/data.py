"""The content of a message as it comes after DATA (RFC 5321 section 4.5.2).  Pure.

CRLF becomes LF, the dot that the client doubled is taken off, and only CRLF.CRLF is the
end: what else looks like one to some other server is content.  A bare LF or a bare CR
anywhere is remembered and the content read to its true end, so that whoever hides a second
message behind a false end (SMTP smuggling) finds it refused with the first.

The work is done on whole pieces.  At a cut no more than the start of a possible CRLF.CRLF
waits for the next piece; before the first one stands an imagined CRLF, for a dot right
after DATA is at the start of a line, too.
"""

from appliance.errors import MailError, Permanent
from appliance.message.hops import Hops

_END = b"\r\n.\r\n"


class Reader:
    """Reads one message's content.

    limit: bytes of content allowed, 0 for any number; max_hops: trace lines refused at;
    normalise: make every bare LF and bare CR a line end instead of refusing the message.
    """

    __slots__ = (
        "_bare",
        "_held",
        "_hops",
        "_limit",
        "_max_hops",
        "_normalise",
        "_pieces",
        "size",
    )

    def __init__(self, limit: int, max_hops: int, *, normalise: bool = False) -> None:
        self.size = -1  # bytes so far; the imagined line end is not one of them
        self._limit = limit
        self._max_hops = max_hops
        self._normalise = normalise
        self._held = b"\r\n"
        self._pieces: list[bytes] = []
        self._bare = False
        self._hops = Hops()

    def feed(self, data: bytes) -> bytes | None:
        """Read a piece.  At the end of the content: what follows it; None if the end is yet to come."""
        data = self._held + data
        end = data.find(_END)
        if end >= 0:
            self._read(data[: end + 2])
            return data[end + 5 :]
        held = _held(data)
        self._held = data[len(data) - held :]
        if len(data) > held:
            self._read(data[: len(data) - held])
        return None

    def take(self) -> bytes:
        """The content read since the last call."""
        return b"".join(self.pieces())

    def pieces(self) -> list[bytes]:
        """The same, as it was read."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def problem(self) -> MailError | None:
        """Why the message can't be taken, if so; known for good at its end."""
        if self._bare:
            return Permanent(550, "5.6.0", "lines must end in CRLF, no other CR or LF is allowed")
        if self._hops.count >= self._max_hops:
            return Permanent(554, "5.4.6", "too many hops, this message is looping")
        if self._limit and self.size > self._limit:
            return Permanent(552, "5.3.4", "message too large")
        return None

    def _read(self, raw: bytes) -> None:
        """A piece in which every CRLF is whole and none is the end."""
        unstuffed = raw.replace(b"\r\n.", b"\r\n")
        lines = unstuffed.replace(b"\r", b"")
        # replacing single bytes is several times as fast as looking for pairs, so: put the CRs
        # back where they belong; if that is not what came, one was missing or elsewhere
        if lines.replace(b"\n", b"\r\n") != unstuffed:
            self._bare = not self._normalise
            lines = unstuffed.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self.size < 0:
            lines = lines[1:]
            self.size = 0
        self._hops.feed(lines)
        self.size += len(lines)
        if self.problem() is not None:
            self._pieces = []  # lost anyway: read on to the end without keeping it
        else:
            self._pieces.append(lines)


def _held(data: bytes) -> int:
    """How many bytes at the end may be the start of CRLF.CRLF."""
    for size in (4, 3, 2, 1):
        if data.endswith(_END[:size]):
            return size
    return 0
