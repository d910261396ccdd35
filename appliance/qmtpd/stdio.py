"""`qmail-qmtpd` and `qmail-qmqpd`: one connection on stdin and stdout, as tcpserver or inetd starts them.

Who is at the other end stands in the environment: TCPREMOTEIP; RELAYCLIENT, if set, lets it relay; DATABYTES is the
limit instead of control/databytes.  QMQP has no other access control than tcpserver's rules, as in qmail.
"""

import asyncio
import os
import socket
import stat
import sys

from appliance import command, door, log
from appliance.control import Control
from appliance.intake import Intake
from appliance.qmtpd.handover import Door
from appliance.qmtpd.package import Client
from appliance.qmtpd.session import Session
from appliance.qmtpd.settings import Settings
from appliance.qmtpd.wire import PIECE, Beyond, Ended

ENDED, GARBAGE, LATER = 0, 100, 111  # exit statuses, as qmail's
WITHIN = 3600.0  # seconds


def qmtp() -> int:
    """`qmail-qmtpd`."""
    return _run(b"QMTP")


def qmqp() -> int:
    """`qmail-qmqpd`."""
    return _run(b"QMQP")


def _run(protocol: bytes) -> int:
    name = f"qmail-{protocol.decode().lower()}d"
    log.setup(name, fd=2)
    state = command.state()
    try:
        settings = Settings(Control(state).current())
        hello = door.hello("inject", door.read_token(state, "inject"))
    except (OSError, LookupError, ValueError) as error:
        log.trouble(f"{name} can't serve", error)
        return LATER
    if os.environ.get("DATABYTES", "").isdigit():
        settings.limit = int(os.environ["DATABYTES"])
    address = os.environ.get("TCPREMOTEIP", "unknown")
    client = Client(
        Door(state, Intake(state, "inject"), hello), settings, address, protocol, "RELAYCLIENT" in os.environ
    )
    try:
        return asyncio.run(_serve(client))
    except TimeoutError:
        return LATER


async def _serve(client: Client) -> int:
    reader, writer = await _ends()
    async with asyncio.timeout(WITHIN):
        why = await Session(client, reader, writer).run()
        writer.close()
        await writer.wait_closed()
    client.door.shared.close()
    if isinstance(why, Beyond):
        return LATER
    return GARBAGE if why is not None and not isinstance(why, Ended) else ENDED


async def _ends() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The client: one socket on both descriptors, as tcpserver gives it, or two pipes."""
    if stat.S_ISSOCK(os.fstat(0).st_mode):
        return await asyncio.open_connection(sock=socket.socket(fileno=os.dup(0)), limit=PIECE)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=PIECE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(os.dup(1), "wb")
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
