"""A stored message as POP3 sends it (RFC 1939 section 3).  Pure.

Every line ends in CRLF, also the last one; a line that begins with a dot gets another in front; a line of one dot
ends it all.  A message's size counts its octets with CRLF, without the added dots and the last line.
"""

from collections.abc import Iterable, Iterator

END = b".\r\n"


def size(pieces: Iterable[bytes]) -> int:
    """Octets that the client sees of a message."""
    total, last = 0, b""
    for piece in pieces:
        total += len(piece) + piece.count(b"\n")
        if b"\r" in piece:  # in few messages: to look for pairs costs ten times as much
            total -= piece.count(b"\r\n")
        if last == b"\r" and piece[:1] == b"\n":
            total -= 1
        last = piece[-1:] or last
    return total + 2 * (last not in (b"", b"\n"))


def message(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines to send for a message, END included."""
    held = b""  # a CR whose LF may come with the next piece
    line_begins = True
    for piece in pieces:
        text = held + piece
        held = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(held)].replace(b"\r\n", b"\n")
        if not text:
            continue
        if line_begins and text.startswith(b"."):
            text = b"." + text
        line_begins = text.endswith(b"\n")
        yield text.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
    yield held + (b"" if line_begins and not held else b"\r\n") + END


def top(pieces: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """The header, the empty line and that many lines of the body, as stored.

    pieces: lines, or parts of very long ones.
    """
    left = -1  # of the body; -1: still in the header
    line_begins = True
    for piece in pieces:
        if left == 0 and line_begins:
            return
        yield piece
        ends = piece.endswith(b"\n")
        if left < 0 and line_begins and piece in (b"\n", b"\r\n"):
            left = lines
        elif left > 0 and ends:
            left -= 1
        line_begins = ends
