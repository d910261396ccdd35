"""What all doors of the queue share: the hello, and frames with answers in one write a turn."""

import asyncio
from collections.abc import Callable
from typing import cast

from appliance import log, netstring
from appliance.door import Guard, WrongToken

HELLO_TIMEOUT = 10.0


class Visitor(asyncio.Protocol):
    """A connection at one door; nothing is done for it before it has shown its token."""

    limit = 64 * 1024  # bytes of a frame

    def __init__(self, guard: Guard, present: "set[Visitor]") -> None:
        self._guard = guard
        self._present = present
        self._decoder = netstring.Decoder(self.limit)
        self._timer: asyncio.TimerHandle | None = None
        self.role = ""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._present.add(self)
        self._timer = asyncio.get_running_loop().call_later(HELLO_TIMEOUT, self.refuse, "no hello")

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
            if not self.role:
                if not frames:
                    return
                self.role = self._guard.role(frames.pop(0))
                if self._timer is not None:
                    self._timer.cancel()
                self.entered()
            if frames:
                self.frames(frames)
        except (netstring.FramingError, WrongToken, ValueError) as error:
            self.refuse(error)

    def entered(self) -> None:
        """The token was right."""

    def frames(self, frames: list[bytes]) -> None:
        """What the peer says. ValueError ends the connection."""
        raise NotImplementedError

    def refuse(self, why: object) -> None:
        """End a connection that can't be trusted."""
        log.warning(f"queue: {self._guard.name} door: {self.role or 'a stranger'}: connection closed: {why}")
        self.transport.abort()

    def write(self, data: bytes) -> None:
        """To a peer that may be gone: then nobody is there to hear it."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def resume(self) -> None:
        """Read on, if there is still somebody to read from."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # why does not matter
        self._present.discard(self)
        if self._timer is not None:
            self._timer.cancel()


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
