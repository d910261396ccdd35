"""What all doors of the queue share: the hello, and frames with answers in one write a turn.

Written for a hostile other side: nothing is kept for a stranger; who has entered has the limits of its role, a turn
of the loop at a time, and is not heard while it does not read what it was told.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from appliance import log, netstring
from appliance.door import Guard, WrongToken
from appliance.queue.present import FREE, Present

HELLO_TIMEOUT = 10.0
HELLO = 256  # bytes of a hello at most
TURN = 1000  # frames before others have their turn: an honest peer says less at once
MISTAKES = 100  # of one connection, after which it is closed


class Visitor(asyncio.Protocol):
    """A connection at one door; nothing is done for it before it has shown its token."""

    limit = 64 * 1024  # bytes of a frame

    def __init__(self, guard: Guard, present: Present) -> None:
        self._guard = guard
        self._present = present
        self._decoder = netstring.Decoder(self.limit)
        self._timer: asyncio.TimerHandle | None = None
        self._rest: list[bytes] = []  # frames for a later turn
        self._stuffed = False  # it does not read what it was told
        self.waits = False  # for what it said to be dealt with
        self._mistakes = 0
        self.kept = 0  # bytes of an unfinished frame, as `present` knows
        self.role = ""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._timer = asyncio.get_running_loop().call_later(HELLO_TIMEOUT, self.refuse, "no hello")
        crowding = self._present.knocks(self)
        if crowding is not None:
            crowding.refuse("too many connections without a hello")

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
            if not self.role:
                if not frames:
                    if self._decoder.kept > HELLO:
                        self.refuse("a hello is shorter")
                    return
                self._enter(frames.pop(0))
            kept = self._decoder.kept
            if kept > FREE or self.kept:
                self._keep(kept)
            if self._rest:
                self._rest += frames
            elif frames:
                self._take_turn(frames)
        except (netstring.FramingError, WrongToken, ValueError) as error:
            self.refuse(error)

    def _enter(self, hello: bytes) -> None:
        self.role = self._guard.role(hello)
        if self._timer is not None:
            self._timer.cancel()
        self._present.enters(self)
        self.entered()

    def _keep(self, kept: int) -> None:
        greedy = self._present.keeps(self, kept)
        if greedy is not None:
            greedy.refuse("too much of its role is unfinished")

    def _take_turn(self, frames: list[bytes]) -> None:
        if len(frames) > TURN:
            frames, self._rest = frames[:TURN], frames[TURN:]
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._next_turn)
        self.frames(frames)

    def _next_turn(self) -> None:
        if self.transport.is_closing():
            return
        rest, self._rest = self._rest, []
        try:
            if rest:
                self._take_turn(rest)
        except ValueError as error:
            self.refuse(error)
            return
        self._resume()

    def entered(self) -> None:
        """The token was right."""

    def frames(self, frames: list[bytes]) -> None:
        """What the peer says. ValueError ends the connection."""
        raise NotImplementedError

    def mistake(self, what: str) -> None:
        """The peer has said what it may not, and it is left at that. Raises ValueError if that goes on."""
        self._mistakes += 1
        if self._mistakes > MISTAKES:
            raise ValueError(f"too many mistakes; the last: {what}")

    def refuse(self, why: object) -> None:
        """End a connection that can't be trusted."""
        if not self.transport.is_closing():
            log.warning(f"queue: {self._guard.name} door: {self.role or 'a stranger'}: connection closed: {why}")
        self._rest = []
        self.transport.abort()
        self._present.leaves(self)

    def write(self, data: bytes) -> None:
        """To a peer that may be gone: then nobody is there to hear it."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        self._stuffed = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._stuffed = False
        self._resume()

    def wait(self) -> None:
        """Read nothing more until `go_on`."""
        self.waits = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def go_on(self) -> None:
        """What it said was dealt with."""
        self.waits = False
        self._resume()

    def _resume(self) -> None:
        """Read on, if there is still somebody to read from, and no reason not to."""
        if not (self._stuffed or self._rest or self.waits or self.transport.is_closing()):
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # why does not matter
        if self._timer is not None:
            self._timer.cancel()
        rest, self._rest = self._rest, []
        if rest:  # it was said before the end
            try:
                self.frames(rest)
            except ValueError as error:
                log.warning(f"queue: {self._guard.name} door: {self.role}: its last words: {error}")
        self._present.leaves(self)


class Outbox:
    """Frames of one connection, joined into one write at the end of the loop's turn."""

    __slots__ = ("_frames", "_soon", "_write")

    def __init__(self, soon: Callable[[Callable[[], None]], object], write: Callable[[bytes], None]) -> None:
        self._soon, self._write = soon, write
        self._frames: list[bytes] = []

    def add(self, payload: bytes) -> None:
        if not self._frames:
            self._soon(self._flush)
        self._frames.append(b"%d:%b," % (len(payload), payload))

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        self._write(b"".join(frames))
