"""Many mail hosts in one process, each at a loopback address of its own: some take mail, some hang, some refuse.

Counts stand in memory that the benchmark shares with that process, so it looks at them whenever it likes.
"""

import asyncio
import mmap
import os
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Self, cast

import uvloop

Manner = Literal["takes", "mute", "full", "refuses"]
_ROW = struct.Struct("4q")


@dataclass(frozen=True)
class Seen:
    """What a host saw: messages it took, connections in all, open now, and the most that were open at once."""

    messages: int = 0
    connections: int = 0
    open: int = 0
    most: int = 0


class ManyHosts:
    """Hosts on one port, while this is entered. Raises OSError if an address can't be had.

    takes    takes mail
    mute     accepts a connection and never says a word
    full     does not even accept: its queue of connections is full, so the kernel drops what comes
    refuses  greets with 421 and hangs up
    """

    def __init__(self, manners: Sequence[Manner], port: int) -> None:
        self._manners, self._port = manners, port
        self._table = mmap.mmap(-1, max(1, len(manners)) * _ROW.size)
        self._fillers: list[socket.socket] = []

    @staticmethod
    def address(number: int) -> str:
        """Of the host of this number."""
        return f"127.64.{number // 200}.{number % 200 + 1}"

    def seen(self, number: int) -> Seen:
        """What one host has seen so far."""
        return Seen(*_ROW.unpack_from(self._table, number * _ROW.size))

    def taken(self) -> int:
        """Messages that all of them took."""
        return sum(self.seen(number).messages for number in range(len(self._manners)))

    def __enter__(self) -> Self:
        listeners = [
            socket.create_server((self.address(n), self._port), backlog=512) for n in range(len(self._manners))
        ]
        for listener, manner in zip(listeners, self._manners, strict=True):
            if manner == "full":
                listener.listen(0)
                self._fill(listener.getsockname())
        self._child = os.fork()
        if self._child == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                uvloop.run(self._serve(listeners))
            finally:
                os._exit(1)
        for listener in listeners:
            listener.close()
        return self

    def _fill(self, address: tuple[str, int]) -> None:
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(address)
            self._fillers.append(filler)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for filler in self._fillers:
            filler.close()
        os.kill(self._child, signal.SIGTERM)
        os.waitpid(self._child, 0)

    async def _serve(self, listeners: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for number, (listener, manner) in enumerate(zip(listeners, self._manners, strict=True)):
            if manner != "full":
                await loop.create_server(partial(_Dialogue, self, number, manner), sock=listener)
        await asyncio.Event().wait()

    def count(self, number: int, *, messages: int = 0, connections: int = 0) -> None:
        """In the hosts' process: so many more messages, connections opened (or closed, if negative)."""
        seen = self.seen(number)
        now = seen.open + connections
        row = (seen.messages + messages, seen.connections + max(0, connections), now, max(seen.most, now))
        _ROW.pack_into(self._table, number * _ROW.size, *row)


class _Dialogue(asyncio.Protocol):
    """One connection: the shortest SMTP, with pipelining."""

    def __init__(self, hosts: ManyHosts, number: int, manner: Manner) -> None:
        self._hosts, self._number, self._manner = hosts, number, manner
        self._buffer = b""
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._hosts.count(self._number, connections=1)
        if self._manner == "takes":
            self._transport.write(b"220 host ESMTP\r\n")
        elif self._manner == "refuses":
            self._transport.write(b"421 4.3.2 not now\r\n")
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # whatever it was, it is closed
        self._hosts.count(self._number, connections=-1)

    def data_received(self, data: bytes) -> None:
        if self._manner != "takes":
            return
        self._buffer += data
        answers = []
        while answer := self._next():
            answers.append(answer)
        if answers:
            self._transport.write(b"".join(answers))

    def _next(self) -> bytes:
        """The answer to what comes next; nothing while that is not whole."""
        whole, end, rest = self._buffer.partition(b"\r\n.\r\n" if self._in_data else b"\r\n")
        if not end:
            return b""
        self._buffer = rest
        if self._in_data:
            self._in_data = False
            self._hosts.count(self._number, messages=1)
            return b"250 taken\r\n"
        verb = whole[:4].upper()
        if verb == b"DATA":
            self._in_data = True
            return b"354 go\r\n"
        if verb == b"EHLO":
            return b"250-host\r\n250 PIPELINING\r\n"
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n"
