"""A large message on its way to the queue, piece by piece.

The session puts pieces in as they come and stops reading from the client while too many
wait; `submit_large` takes them out.  What makes the message unacceptable is raised to it at
the end, which drops the connection to the queue, and nothing is left there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from appliance.errors import MailError

ENOUGH = 256 * 1024  # bytes that may wait


class Stream:
    """The pieces of one message; `room` is called when they have all been taken."""

    def __init__(self, room: Callable[[], None]) -> None:
        self._room = room
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._ended = False
        self._problem: MailError | None = None
        self._something = asyncio.Event()

    def put(self, piece: bytes) -> bool:
        """Add a piece; True if the client should wait."""
        if piece:
            self._pieces.append(piece)
            self._waiting += len(piece)
            self._something.set()
        return self._waiting > ENOUGH

    def end(self, problem: MailError | None) -> None:
        """No more pieces; with a problem the message is not to be queued."""
        self._ended = True
        self._problem = problem
        self._something.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await self._something.wait()
            self._something.clear()
            pieces, self._pieces, self._waiting = self._pieces, [], 0
            if self._problem is not None:
                raise self._problem
            self._room()
            for piece in pieces:
                yield piece
            if self._ended and not self._pieces:
                return
