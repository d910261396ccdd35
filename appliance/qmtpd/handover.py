"""A message on its way from a client to the queue.

A small one waits here for its envelope and leaves as one request; a large one streams to the queue, and
its envelope follows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from appliance import intake
from appliance.envelope import Envelope
from appliance.errors import MailError, Permanent
from appliance.message.hops import Hops
from appliance.qmtpd.wire import Wire, unix_lines
from appliance.state import State

_ROOM = 4096  # bytes for our own trace lines and for the queue's


@dataclass(frozen=True, slots=True)
class Door:
    """The way to the queue: `shared` for small messages, `hello` opens a connection for a large one."""

    state: State
    shared: intake.Intake
    hello: bytes


class Content:
    """A message's content: `size` bytes on the wire, `stored` bytes so far as they will be stored.

    dos: its lines end in CRLF; limit: bytes that may be stored, 0 for any number; hops: trace lines refused at
    """

    def __init__(self, wire: Wire, size: int, *, dos: bool, limit: int, hops: int) -> None:
        self.size = size
        self.stored = 0
        self._pieces = wire.pieces(size)
        self._dos, self._limit, self._most_hops = dos, limit, hops
        self._hops = Hops()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content as it is stored. Raises Permanent as soon as it can't be taken; `rest` reads on."""
        held = b""
        async for each in self._pieces:
            piece = each
            if self._dos:
                piece, held = unix_lines(piece, held)
            self._check(piece)
            yield piece
        self._check(held)
        yield held

    async def rest(self) -> None:
        """Read what was not read, to get to what follows."""
        async for _ in self._pieces:
            pass

    def _check(self, piece: bytes) -> None:
        self.stored += len(piece)
        self._hops.feed(piece)
        if self._hops.count >= self._most_hops:
            raise Permanent(554, "5.4.6", "too many hops, this message is looping")
        if self._limit and self.stored > self._limit:
            raise Permanent(552, "5.3.4", "message too large")


async def hand_over(door: Door, trace: bytes, content: Content, letter: Callable[[], Awaitable[Envelope]]) -> str:
    """Queue a message; its id.

    letter: reads its envelope, asked after the content.
    Raises MailError, and what reading raises; then nothing is queued, and some of the content may be unread.
    """
    if content.size > intake.INLINE - _ROOM:

        async def stamped() -> AsyncIterator[bytes]:
            yield trace
            async for piece in content.pieces():
                yield piece

        return await intake.submit_large(door.state, door.hello, b"", (), stamped(), letter)
    text = b"".join([trace, *[piece async for piece in content.pieces()]])
    frame = intake.request(*await letter(), text)
    answer: asyncio.Future[bytes | MailError] = asyncio.get_running_loop().create_future()
    door.shared.submit(frame, lambda told: None if answer.done() else answer.set_result(told))
    told = await answer
    if isinstance(told, MailError):
        raise told
    return intake.accepted(told)
