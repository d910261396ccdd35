"""The pieces of a large message on their way from the client to the queue."""

import asyncio
from collections.abc import AsyncIterator, Callable

from appliance.errors import MailError

ENOUGH = 256 * 1024  # bytes that may wait


class Stream:
    """What `submit_large` reads; `room` is called when it has taken all that waited.

    A problem at the end is raised to it, which drops the connection to the queue, and
    nothing is left there.
    """

    def __init__(self, room: Callable[[], None]) -> None:
        self._room = room
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._ended = False
        self._problem: MailError | None = None
        self._something = asyncio.Event()

    @property
    def crowded(self) -> bool:
        """Enough is waiting."""
        return self._waiting > ENOUGH

    def put(self, piece: bytes) -> None:
        """Add a piece."""
        if piece:
            self._pieces.append(piece)
            self._waiting += len(piece)
            self._something.set()

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
