"""Handing a message to the queue: the one door by which all mail enters.

After the hello, a message of at most INLINE bytes is one frame, envelope then content;
frames may be pipelined and are answered in order.  A larger one has a connection of its
own: a frame with `L` and the envelope, the content in frames of at most CHUNK bytes, an empty
frame; or `L` alone, the content, an empty frame, and the envelope at last, for those who learn it
after the content (QMTP, QMQP, qmail-queue).  The answer is a frame: `K` and the message's id once it
is durable, `Z` or `D` and a text.  A connection dropped early leaves nothing behind.

A frame `S` asks for room: at once, and whenever that changes, a frame `S<bytes>` says how much new mail may come.
"""

import asyncio
import math
import socket
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from typing import cast

from appliance import door, envelope, netstring
from appliance.enqueue import (
    CHUNK,
    FRAME,
    INLINE,
    LATE,
    TIMEOUT,
    accepted,
    accepted_later,
    opening,
    request,
    submit_blocking,
)
from appliance.errors import MailError
from appliance.state import State

__all__ = ["CHUNK", "FRAME", "INLINE", "LATE", "TIMEOUT", "Intake", "accepted", "accepted_later", "opening", "request"]
__all__ += ["submit_blocking", "submit_large"]

ASK = b"S"
_FOUND_WITHIN = 5.0  # seconds
_SOCKET = 1024 * 1024  # bytes the socket may hold, if the kernel allows it: some large messages leave in one call

Tell = Callable[[bytes | MailError], None]  # called once; must not raise


class Intake(asyncio.Protocol):
    """The shared, pipelined connection of an asynchronous program.

    Requests made in one turn of the event loop leave in one write; if the queue restarts,
    those without an answer fail as temporary and the next one connects again.

    room: for how many bytes of new mail the queue has room, with `ask`; infinite as long as it has not said
    """

    def __init__(self, state: State, role: str, *, ask: bool = False) -> None:
        self.room = math.inf  # bytes
        self._path = str(state.door("intake"))
        self._hello = door.hello(role, door.read_token(state, role)) + (netstring.encode(ASK) if ask else b"")
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

    async def found(self, terminated: asyncio.Event) -> None:
        """Wait a few seconds for the queue; clients are served all the same then, and hear 451 until it is there."""
        for _ in range(int(_FOUND_WITHIN / 0.05)):
            if self.connected or terminated.is_set():
                return
            self.connect()
            await asyncio.sleep(0.05)

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
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET)
        self._transport.write(self._hello)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._decoder.feed(data)
        except netstring.FramingError as error:
            self._fail(error)
            return
        for answer in answers:
            if answer[:1] == ASK:
                self._learn(answer)
                continue
            if not self._waiting:
                self._fail("an answer to no request")
                return
            self._waiting.popleft()(answer)

    def _learn(self, answer: bytes) -> None:
        digits = answer[1:]
        self.room = int(digits) if digits.isdigit() else math.inf

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or "the queue closed the connection")

    def _fail(self, cause: object) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._transport = None
        self.room = math.inf
        self._decoder = netstring.Decoder(FRAME)
        self._outgoing = []
        waiting, self._waiting = self._waiting, deque()
        for tell in waiting:
            tell(accepted_later(cause))

    def close(self) -> None:
        """Let go of the connection; unanswered requests fail as temporary."""
        self._fail("closing")


async def submit_large(
    state: State,
    hello: bytes,
    sender: bytes,
    recipients: tuple[bytes, ...],
    chunks: AsyncIterable[bytes],
    late: Callable[[], Awaitable[envelope.Envelope]] | None = None,
) -> str:
    """Stream a message of any size; return its id. Raises Temporary, Permanent, and what `chunks` raises.

    late: gives the envelope after the content, instead of `sender` and `recipients`.
    """
    loop = asyncio.get_running_loop()
    # no transport: one whose write fails forgets what it has not read, and the queue may have said why before it closed
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
        try:
            await loop.sock_connect(connection, str(state.door("intake")))
        except OSError as error:
            raise accepted_later(error) from error
        refused: OSError | None = None
        try:
            await loop.sock_sendall(connection, hello + (LATE if late else opening(sender, recipients)))
            async for chunk in chunks:
                for start in range(0, len(chunk), CHUNK):
                    await loop.sock_sendall(connection, netstring.encode(chunk[start : start + CHUNK]))
            await loop.sock_sendall(connection, netstring.encode(b""))
            if late:
                await loop.sock_sendall(connection, netstring.encode(envelope.encode(*await late())))
        except OSError as error:
            refused = error
            with suppress(OSError):  # it is gone
                connection.shutdown(socket.SHUT_WR)  # else it hears that this was all
        try:
            return accepted(await asyncio.wait_for(_answer(connection), TIMEOUT))
        except (OSError, EOFError, netstring.FramingError) as error:
            raise accepted_later(refused or error) from error


async def _answer(connection: socket.socket) -> bytes:
    loop, decoder = asyncio.get_running_loop(), netstring.Decoder(FRAME)
    while data := await loop.sock_recv(connection, CHUNK):
        for frame in decoder.feed(data):
            return frame
    raise EOFError("the queue closed the connection")
