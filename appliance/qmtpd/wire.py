"""Netstrings as they come from a client: their length first, then their bytes as fast as somebody takes them."""

import asyncio
from collections.abc import AsyncIterator

from appliance.netstring import MAX_DIGITS

PIECE = 64 * 1024


class Broken(Exception):
    """The connection is of no more use, or what comes by it means nothing; says why."""


class Ended(Broken):
    """The client has left."""


class Beyond(Broken):
    """It takes more time or room than there is."""


class Wire:
    """What a client sends.

    timeout: seconds for each read; taken: bytes so far. All readers raise Broken.
    """

    def __init__(self, reader: asyncio.StreamReader, timeout: float) -> None:
        self._reader = reader
        self._timeout = timeout
        self.taken = 0

    async def length(self, most: int, *, end: bool = False) -> int:
        """The length of the netstring that begins here, `most` at most; -1 at the end of all if that is allowed."""
        digits = b""
        while True:
            byte = await self._read(1)
            if not byte and end and not digits:
                return -1
            if byte == b":" and digits:
                break
            if not byte:
                raise Ended("the connection ended in the middle")
            if not byte.isdigit() or digits == b"0":
                raise Broken("a length was expected")
            if len(digits) == MAX_DIGITS:
                raise Beyond("a netstring of a length that nothing has")
            digits += byte
        if int(digits) > most:
            raise Beyond(f"a netstring of {int(digits)} bytes, at most {most} allowed here")
        return int(digits)

    async def exactly(self, size: int) -> bytes:
        """So many bytes."""
        return b"".join([piece async for piece in self.pieces(size)])

    async def pieces(self, size: int) -> AsyncIterator[bytes]:
        """So many bytes, piece by piece."""
        while size:
            piece = await self._read(min(size, PIECE))
            if not piece:
                raise Ended("the connection ended in the middle")
            size -= len(piece)
            yield piece

    async def comma(self) -> None:
        """The end of a netstring."""
        found = await self._read(1)
        if not found:
            raise Ended("the connection ended in the middle")
        if found != b",":
            raise Broken("a comma was expected")

    async def netstring(self, most: int) -> bytes:
        """A whole one."""
        found = await self.exactly(await self.length(most))
        await self.comma()
        return found

    async def _read(self, most: int) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._reader.read(most)
        except TimeoutError as error:
            raise Beyond("timeout") from error
        except OSError as error:
            raise Ended(str(error)) from error
        self.taken += len(found)
        return found


def unix_lines(piece: bytes, held: bytes) -> tuple[bytes, bytes]:
    """CRLF as LF in a piece of DOS lines; `held` is a CR at the end of the piece before. Returns lines, and what is held.

    A CR alone stays what it is.
    """
    piece = held + piece
    held = piece[-1:] if piece.endswith(b"\r") else b""
    return piece[: len(piece) - len(held)].replace(b"\r\n", b"\n"), held
