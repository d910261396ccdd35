"""A connection of QMTP or QMQP: packages in, answers out."""

import asyncio

from appliance import log
from appliance.qmtpd.package import Client
from appliance.qmtpd.qmqp import Request
from appliance.qmtpd.qmtp import Package
from appliance.qmtpd.wire import Broken, Ended, Wire


class Session:
    """The packages of one client, one after the other; they may be pipelined.

    busy: a package has begun and is not answered
    """

    def __init__(self, client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = client
        self._wire = Wire(reader, client.settings.timeout)
        self._writer = writer
        self._answered = 0  # bytes that belong to packages answered

    @property
    def busy(self) -> bool:
        """Whether a package has begun and is not answered."""
        return self._wire.taken > self._answered

    async def run(self) -> Broken | None:
        """Until the client ends it; why it was broken off, if so."""
        client = self._client
        try:
            while True:
                package = Package(client, self._wire) if client.protocol == b"QMTP" else Request(client, self._wire)
                answer = await package.take()
                if answer is None:
                    return None
                await self._send(answer)
                self._answered = self._wire.taken
                if client.protocol == b"QMQP":  # one request a connection
                    return None
        except Broken as error:
            log.session_ended(client.address, str(error))
            return error

    async def _send(self, answer: bytes) -> None:
        self._writer.write(answer)
        try:
            async with asyncio.timeout(self._client.settings.timeout):
                await self._writer.drain()
        except (TimeoutError, OSError) as error:
            raise Ended(f"the answer can't be sent: {error or 'timeout'}") from error
