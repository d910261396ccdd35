"""Handing a message to the queue: the one door by which all mail enters.

After the hello, a message of at most INLINE bytes is one frame, envelope then content;
frames may be pipelined and are answered in order.  A larger one has a connection of its
own: a frame with `L` and the envelope, the content in frames of at most CHUNK bytes, an empty
frame.  The answer is a frame: `K` and the message's id once it is durable, `Z` or `D` and a
text.  A connection dropped early leaves nothing behind.
"""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from typing import cast

from appliance import door, envelope, netstring
from appliance.errors import MailError, Permanent, Temporary
from appliance.state import State

# 640 to 800 messages of 100 KiB a second become 970: a body file costs its making, two syncs and its removal
INLINE = 128 * 1024  # bytes of content
CHUNK = 64 * 1024
FRAME = INLINE + 4 * 1024 * 1024  # an envelope with thousands of recipients goes inline too
TIMEOUT = 300.0  # seconds for an answer; a commit takes milliseconds


def request(sender: bytes, recipients: tuple[bytes, ...] | list[bytes], content: bytes) -> bytes:
    """The frame for a message of at most INLINE bytes. Raises envelope.EnvelopeError."""
    return netstring.encode(envelope.encode(sender, recipients) + content)


def opening(sender: bytes, recipients: tuple[bytes, ...] | list[bytes]) -> bytes:
    """The first frame for a larger message."""
    return netstring.encode(b"L" + envelope.encode(sender, recipients))


def accepted(answer: bytes) -> str:
    """The message id in an answer. Raises Temporary, Permanent."""
    letter, text = answer[:1], answer[1:].decode("utf-8", "replace")
    if letter == b"K":
        return text
    if letter == b"D":
        raise Permanent(554, "5.3.0", text or "refused by the queue")
    raise Temporary(451, "4.3.0", "cannot queue the message now, try again later", text)


Tell = Callable[[bytes | MailError], None]  # called once; must not raise


class Intake(asyncio.Protocol):
    """The shared, pipelined connection of an asynchronous program.

    Requests made in one turn of the event loop leave in one write; if the queue restarts,
    those without an answer fail as temporary and the next one connects again.
    """

    def __init__(self, state: State, role: str) -> None:
        self._path = str(state.door("intake"))
        self._hello = door.hello(role, door.read_token(state, role))
        self._transport: asyncio.Transport | None = None
        self._decoder = netstring.Decoder(FRAME)
        self._waiting: deque[Tell] = deque()
        self._outgoing: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None

    def submit(self, frame: bytes, tell: Tell) -> None:
        """Send a `request`; `tell` gets the answer for `accepted`, or a Temporary, in a later turn of the loop."""
        self._waiting.append(tell)
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(frame)

    @property
    def connected(self) -> bool:
        """Whether the queue is there."""
        return self._transport is not None

    def connect(self) -> None:
        """Begin to connect if there is no connection; a failure is silent unless requests wait for it."""
        if self._transport is None and self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())

    def _flush(self) -> None:
        if self._transport is None:
            self.connect()
            return
        self._transport.writelines(self._outgoing)
        self._outgoing = []

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, self._path)
        except OSError as error:
            self._fail(error)
        finally:
            self._connecting = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of asyncio.Transport without being one
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._hello)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._decoder.feed(data)
        except netstring.FramingError as error:
            self._fail(error)
            return
        for answer in answers:
            if not self._waiting:
                self._fail("an answer to no request")
                return
            self._waiting.popleft()(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or "the queue closed the connection")

    def _fail(self, cause: object) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._transport = None
        self._decoder = netstring.Decoder(FRAME)
        self._outgoing = []
        waiting, self._waiting = self._waiting, deque()
        for tell in waiting:
            tell(accepted_later(cause))

    def close(self) -> None:
        """Let go of the connection; unanswered requests fail as temporary."""
        self._fail("closing")


async def submit_large(
    state: State, hello: bytes, sender: bytes, recipients: tuple[bytes, ...], chunks: AsyncIterable[bytes]
) -> str:
    """Stream a message of any size; return its id. Raises Temporary, Permanent, and what `chunks` raises."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(state.door("intake")))
    except OSError as error:
        raise accepted_later(error) from error
    try:
        writer.write(hello + opening(sender, recipients))
        async for chunk in chunks:
            for start in range(0, len(chunk), CHUNK):
                writer.write(netstring.encode(chunk[start : start + CHUNK]))
            await writer.drain()
        writer.write(netstring.encode(b""))
        return accepted(await asyncio.wait_for(_answer(reader), TIMEOUT))
    except (OSError, EOFError, netstring.FramingError) as error:
        raise accepted_later(error) from error
    finally:
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    decoder = netstring.Decoder(FRAME)
    while data := await reader.read(CHUNK):
        for frame in decoder.feed(data):
            return frame
    raise EOFError("the queue closed the connection")


def submit_blocking(
    state: State, hello: bytes, sender: bytes, recipients: tuple[bytes, ...], chunks: Iterable[bytes]
) -> str:
    """As `submit_large`, for programs without an event loop."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(str(state.door("intake")))
            connection.sendall(hello + opening(sender, recipients))
            for chunk in chunks:
                for start in range(0, len(chunk), CHUNK):
                    connection.sendall(netstring.encode(chunk[start : start + CHUNK]))
            connection.sendall(netstring.encode(b""))
            decoder = netstring.Decoder(FRAME)
            while data := connection.recv(CHUNK):
                for frame in decoder.feed(data):
                    return accepted(frame)
        except (OSError, netstring.FramingError) as error:
            raise accepted_later(error) from error
    raise accepted_later("the queue closed the connection")


def accepted_later(cause: object) -> Temporary:
    """The queue can't be asked now: the peer should come back."""
    return Temporary(451, "4.3.0", "cannot queue the message now, try again later", cause)
