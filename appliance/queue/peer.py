"""Who is at the other end of a Unix connection, as the kernel says (unix(7), SO_PEERCRED)."""

import asyncio
import socket
import struct

_CREDENTIALS = struct.Struct("iII")  # process, uid, gid of who connected


def process(transport: asyncio.Transport) -> int:
    """The id of the process that connected. Raises OSError."""
    return _credentials(transport)[0]


def uid(transport: asyncio.Transport) -> int:
    """The user it ran as. Raises OSError."""
    return _credentials(transport)[1]


def _credentials(transport: asyncio.Transport) -> tuple[int, int, int]:
    connection = transport.get_extra_info("socket")
    found: tuple[int, int, int] = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return found
