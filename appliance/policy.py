"""Who may send what to whom.  Pure: the answers come from what it is made with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from appliance.errors import MailError, Permanent, Temporary
from appliance.rcpthosts import RcptHosts
from appliance.recipient import Standing

Network = IPv4Network | IPv6Network

NOBODY = RcptHosts(None)
_KEPT = 16384  # verdicts,
_SHORT = 128  # bytes of a recipient whose verdict is kept: strangers choose them

_NOBODY, _OWN, _EVERYBODY = range(3)  # who may send mail to a recipient: _OWN is those who may relay


@dataclass(frozen=True, slots=True)
class Client:
    """What is known about an address that connects.

    network: whose sessions count together; may_relay: may send to any domain; normalise: its bare newlines are
    mended, not refused.
    """

    address: str
    network: bytes
    may_relay: bool
    normalise: bool


def client(address: str, relay_from: tuple[Network, ...], bare_newline: tuple[Network, ...]) -> Client:
    """The client at an address; an IPv4 address in IPv6's clothes counts as itself."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return Client(str(ip), network(ip), any(ip in net for net in relay_from), any(ip in net for net in bare_newline))


def network(ip: IPv4Address | IPv6Address) -> bytes:
    """Whose sessions and failures count together: an IPv4 address; of IPv6 the first 64 bits, which one customer has."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None:
        return ip.packed[:8]
    return ip.packed[-4:]


def networks(lines: Iterable[bytes]) -> tuple[Network, ...]:
    """The networks of a control file. Raises ValueError."""
    return tuple(ip_network(line.decode("ascii", "replace").strip(), strict=False) for line in lines)


class Policy:
    """The decisions about senders and recipients under one generation.

    standing: says whether a recipient is ours; rcpthosts: the domains mail is taken for from
    everybody, also those of another host (we are their backup MX); badmailfrom: senders and
    `@domains` refused.
    """

    def __init__(
        self,
        standing: Callable[[bytes], Standing],
        rcpthosts: RcptHosts = NOBODY,
        badmailfrom: Iterable[bytes] = (),
        max_recipients: int = 1000,
    ) -> None:
        self._standing = standing
        self._rcpthosts = rcpthosts
        # a generation never changes, so its answers may be kept
        self._verdict = lru_cache(maxsize=_KEPT)(self._judge)
        self._badmailfrom = frozenset(sender.lower() for sender in badmailfrom)
        self._max_recipients = max_recipients

    def refusal(self, sender: bytes, recipient: bytes, count: int, *, may_relay: bool) -> MailError | None:
        """Why `recipient` can't be added to `count` others, or None.

        Raises OSError, ValueError if users/ or morercpthosts.cdb can't be read.
        """
        if count >= self._max_recipients:
            return Temporary(452, "4.5.3", "too many recipients, send the rest separately")
        if self._badmailfrom and self._bad(sender.lower()):
            return Permanent(553, "5.7.1", "sender refused")
        verdict = self._verdict(recipient) if len(recipient) <= _SHORT else self._judge(recipient)
        if verdict is _EVERYBODY or (verdict is _OWN and may_relay):
            return None
        if verdict is _NOBODY:
            return Permanent(550, "5.1.1", "no such mailbox here")
        return Permanent(550, "5.7.1", "relay denied, this is not a domain of ours")

    def _judge(self, recipient: bytes) -> int:
        """Who may send mail to a recipient."""
        standing = self._standing(recipient)
        if standing is Standing.UNKNOWN:
            return _NOBODY
        # behind a % the domain in front is ours, and so in rcpthosts, but not where the message goes
        if standing is not Standing.BEHIND and self._accepted(standing, recipient):
            return _EVERYBODY
        return _OWN

    def _bad(self, sender: bytes) -> bool:
        return sender in self._badmailfrom or b"@" + sender.rpartition(b"@")[2] in self._badmailfrom

    def _accepted(self, standing: Standing, recipient: bytes) -> bool:
        if self._rcpthosts.missing:  # which is no open relay
            return standing is Standing.HERE
        return self._rcpthosts.accept(recipient)
