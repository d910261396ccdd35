"""Handing a message to the queue: the frames of the intake door, and a client without an event loop.

`intake.py` says what is in the frames and has the clients of programs with an event loop.  This one is
for commands, which start often: it imports little.
"""

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from appliance import envelope, netstring
from appliance.errors import Permanent, Temporary
from appliance.state import State

# 640 to 800 messages of 100 KiB a second become 970: a body file costs its making, two syncs and its removal
INLINE = 128 * 1024  # bytes of content
CHUNK = 64 * 1024
ENVELOPE = 4 * 1024 * 1024  # bytes: some hundred thousand recipients
FRAME = INLINE + ENVELOPE  # an envelope with thousands of recipients goes inline too
TIMEOUT = 300.0  # seconds for an answer; a commit takes milliseconds
NO_ROOM = b"no room for new mail now"  # the text of a Z
LATE = netstring.encode(b"L")  # opens a large message whose envelope comes last


def request(sender: bytes, recipients: tuple[bytes, ...] | list[bytes], *content: bytes) -> bytes:
    """The frame for a message of at most INLINE bytes, in any pieces. Raises envelope.EnvelopeError."""
    start = envelope.encode(sender, recipients)
    return b"".join((b"%d:" % (len(start) + sum(map(len, content))), start, *content, b","))


def opening(sender: bytes, recipients: tuple[bytes, ...] | list[bytes]) -> bytes:
    """The first frame for a larger message. Raises envelope.EnvelopeError."""
    return netstring.encode(b"L" + envelope.encode(sender, recipients))


def accepted(answer: bytes) -> str:
    """The message id in an answer. Raises Temporary, Permanent."""
    letter, text = answer[:1], answer[1:].decode("utf-8", "replace")
    if letter == b"K":
        return text
    if letter == b"D":
        raise Permanent(554, "5.3.0", text or "refused by the queue")
    if text == NO_ROOM.decode():
        raise Temporary(452, "4.3.1", "no room for new mail now, try again later", text)
    raise Temporary(451, "4.3.0", "cannot queue the message now, try again later", text)


def accepted_later(cause: object) -> Temporary:
    """The queue can't be asked now: the peer should come back."""
    return Temporary(451, "4.3.0", "cannot queue the message now, try again later", cause)


def submit_blocking(
    state: State, hello: bytes, sender: bytes, recipients: tuple[bytes, ...], chunks: Iterable[bytes]
) -> str:
    """Queue a message of any size; return its id. Raises Temporary, Permanent, EnvelopeError, and what `chunks` raises.

    If `chunks` raises, nothing is queued.
    """
    return _submit(state, hello, chunks, lambda: envelope.Envelope(sender, recipients), late=False)


def submit_late(state: State, hello: bytes, chunks: Iterable[bytes], letter: Callable[[], envelope.Envelope]) -> str:
    """The same, with an envelope that is known only after the content: `letter` gives it then."""
    return _submit(state, hello, chunks, letter, late=True)


def _submit(
    state: State, hello: bytes, chunks: Iterable[bytes], letter: Callable[[], envelope.Envelope], *, late: bool
) -> str:
    start, rest = _inline(iter(chunks))
    first = request(*letter(), start) if rest is None else LATE if late else opening(*letter())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(str(state.door("intake")))
        except OSError as error:
            raise accepted_later(error) from error
        refused = _send(connection, hello + first)
        if rest is not None:
            refused = refused or _send(connection, *_frames(start))
            for chunk in rest if refused is None else ():
                refused = _send(connection, *_frames(chunk))
                if refused is not None:
                    break
            refused = refused or _send(connection, netstring.encode(b""))
            if late and refused is None:
                refused = _send(connection, netstring.encode(envelope.encode(*letter())))
        return accepted(_answer(connection, refused))


def _inline(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes] | None]:
    """The content if it is small, else its beginning and what follows."""
    pieces, size = [], 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > INLINE:
            return b"".join(pieces), chunks
    return b"".join(pieces), None


def _frames(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield netstring.encode(data[start : start + CHUNK])


def _send(connection: socket.socket, *frames: bytes) -> OSError | None:
    """Why no more can be sent, if so: the queue may have answered before the end, else it hears that this was all."""
    try:
        for frame in frames:
            connection.sendall(frame)
    except OSError as error:
        with suppress(OSError):  # it is gone
            connection.shutdown(socket.SHUT_WR)
        return error
    return None


def _answer(connection: socket.socket, refused: OSError | None) -> bytes:
    decoder = netstring.Decoder(FRAME)
    try:
        while data := connection.recv(CHUNK):
            for frame in decoder.feed(data):
                return frame
    except (OSError, netstring.FramingError) as error:
        raise accepted_later(refused or error) from error
    raise accepted_later(refused or "the queue closed the connection")
