"""QMTP (http://cr.yp.to/proto/qmtp.txt): a package is a message, its sender, its recipients; each recipient has an answer."""

from appliance import netstring
from appliance.envelope import Envelope
from appliance.errors import MailError, Permanent
from appliance.qmtpd.handover import Content, hand_over
from appliance.qmtpd.package import ADDRESS, LARGEST, Client, sound
from appliance.qmtpd.wire import Beyond, Broken, Wire

RECIPIENTS = 4000  # of a package, as many as one by SMTP may have; each has an answer that waits here,
ROOM = 1_000_000  # and bytes of them


class _Nobody(Exception):
    """No recipient is left."""


class Package:
    """One package of a client."""

    def __init__(self, client: Client, wire: Wire) -> None:
        self._client = client
        self._wire = wire
        self._sender = b""
        self._recipients: list[tuple[bytes, Exception | None]] = []  # each with why it is refused
        self._read = False

    async def take(self) -> bytes | None:
        """Read it to its end; the answers, or None if there is none. Raises Broken."""
        wire, settings = self._wire, self._client.settings
        size = await wire.length(LARGEST, end=True)
        if size < 0:
            return None
        first = await wire.exactly(1) if size else b""
        if first not in (b"\n", b"\r"):
            raise Broken("the first byte of a message is LF or CR, by its line ends")
        content = Content(wire, size - 1, dos=first == b"\r", limit=settings.limit, hops=settings.max_hops)
        message, failure = "", None
        try:
            message = await hand_over(self._client.door, self._client.trace, content, self._letter)
        except _Nobody:
            pass
        except MailError as error:
            failure = error
        await content.rest()
        if not self._read:
            await self._addresses()
        return self._answers(message, content.stored, failure)

    def _answers(self, message: str, size: int, failure: MailError | None) -> bytes:
        client, sender = self._client, self._sender
        good = sum(why is None for _, why in self._recipients)
        accepted = client.accepted(message, sender, good, size) if message else b""
        answers: list[bytes] = []
        for recipient, why in self._recipients:
            refusal = why or failure
            answers.append(client.refused(sender, recipient, refusal) if refusal else accepted)
        return b"".join(map(netstring.encode, answers))

    async def _letter(self) -> Envelope:
        await self._addresses()
        good = tuple([recipient for recipient, why in self._recipients if why is None])
        if not good and self._recipients:
            raise _Nobody
        return Envelope(self._sender, good)

    async def _addresses(self) -> None:
        """Read what follows the content, and decide about each recipient."""
        wire = self._wire
        self._read = True
        await wire.comma()
        self._sender = await wire.netstring(ROOM)
        left = await wire.length(ROOM)
        decoder = netstring.Decoder(ROOM)
        good = 0
        async for piece in wire.pieces(left):
            try:
                found = decoder.feed(piece)
            except netstring.FramingError as error:
                raise Broken(str(error)) from error
            if len(self._recipients) + len(found) > RECIPIENTS:
                raise Beyond(f"more than {RECIPIENTS} recipients in a package")
            for recipient in found:
                why = self._refusal(recipient, good)
                good += why is None
                self._recipients.append((recipient, why))
        if decoder.pending:
            raise Broken("the recipients end in the middle of one")
        await wire.comma()

    def _refusal(self, recipient: bytes, before: int) -> Exception | None:
        client = self._client
        if not sound(recipient):
            return Permanent(553, "5.1.3", f"not an address, or one of more than {ADDRESS} bytes")
        if not sound(self._sender):
            return Permanent(553, "5.1.7", f"the sender is no address, or one of more than {ADDRESS} bytes")
        try:
            return client.settings.policy.refusal(self._sender, recipient, before, may_relay=client.may_relay)
        except (OSError, ValueError) as error:  # users/ can't be read: temporary
            return error
