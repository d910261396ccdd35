"""What both protocols do with a message: take it, stamp it, hand it over, say what became of it."""

import time
from dataclasses import dataclass

from appliance import log
from appliance.address import sendable
from appliance.errors import MailError, internal
from appliance.message import received
from appliance.qmtpd.handover import Door
from appliance.qmtpd.settings import Settings

LARGEST = 200_000_000  # bytes of a netstring, as in qmail; databytes is usually less
ADDRESSES = 4_000_000  # bytes of all addresses of a message: what the intake door takes
ADDRESS = 999  # bytes of one, as in qmail


@dataclass(slots=True)
class Client:
    """Somebody with a message: where from, by which protocol, under which settings, and what it may."""

    door: Door
    settings: Settings
    address: str
    protocol: bytes
    may_relay: bool

    @property
    def trace(self) -> bytes:
        """The Received line of a message that comes now."""
        return received.header(b"", self.address.encode(), self.settings.me, self.protocol, int(time.time()))

    def accepted(self, message: str, sender: bytes, recipients: int, size: int) -> bytes:
        """Log it; the answer that says so."""
        log.received(message, self.address, b"", sender, recipients, size)
        return b"Kok %d qp %b" % (time.time(), message.encode())

    def refused(self, sender: bytes, recipient: bytes | None, error: Exception) -> bytes:
        """Log it; the answer: Z or D, and what happened, with its code as in qmail."""
        mail = error if isinstance(error, MailError) else internal(error)
        answer = mail.result.encode() + f"{mail.text} (#{mail.enhanced})".encode()
        log.refused(self.address, b"", sender, recipient, answer.decode(), mail.cause)
        return answer


def sound(address: bytes) -> bool:
    """Whether an address can stand in an envelope."""
    return len(address) <= ADDRESS and sendable(address)
