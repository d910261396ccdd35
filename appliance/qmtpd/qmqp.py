"""QMQP (http://cr.yp.to/proto/qmqp.html): one request a connection, for hosts of ours: whatever they send is taken."""

import contextlib

from appliance import netstring
from appliance.envelope import Envelope
from appliance.errors import MailError, Permanent
from appliance.qmtpd.handover import Content, hand_over
from appliance.qmtpd.package import ADDRESS, ADDRESSES, LARGEST, Client, sound
from appliance.qmtpd.wire import Broken, Wire


class Request:
    """The request of a client."""

    def __init__(self, client: Client, wire: Wire) -> None:
        self._client = client
        self._wire = wire
        self._end = 0  # of the request, in bytes of the connection
        self._letter: Envelope | None = None

    async def take(self) -> bytes | None:
        """Read it to its end; the answer, or None if there is none. Raises Broken."""
        wire, settings = self._wire, self._client.settings
        size = await wire.length(LARGEST, end=True)
        if size < 0:
            return None
        self._end = wire.taken + size
        content = Content(wire, await wire.length(size), dos=False, limit=settings.limit, hops=settings.max_hops)
        try:
            message = await hand_over(self._client.door, self._client.trace, content, self._addresses)
        except MailError as error:
            await content.rest()
            if self._letter is None:
                with contextlib.suppress(Permanent):  # refused anyway, and that was the first reason
                    await self._addresses()
            sender = self._letter.sender if self._letter else b""
            return netstring.encode(self._client.refused(sender, None, error))
        assert self._letter is not None
        sender, recipients = self._letter
        return netstring.encode(self._client.accepted(message, sender, len(recipients), content.stored))

    async def _addresses(self) -> Envelope:
        """Read what follows the content. Raises Permanent for an address that can't be."""
        wire = self._wire
        await wire.comma()
        sender = await wire.netstring(ADDRESSES)
        recipients: list[bytes] = []
        room = ADDRESSES
        while wire.taken < self._end and room > 0:
            recipients.append(await wire.netstring(room))
            room -= len(recipients[-1]) + 3
        if wire.taken != self._end:
            raise Broken("the request does not end where its parts do")
        await wire.comma()
        self._letter = Envelope(sender, tuple(recipients))
        if not all(map(sound, (sender, *recipients))):
            raise Permanent(553, "5.1.3", f"not an address, or one of more than {ADDRESS} bytes")
        return self._letter
