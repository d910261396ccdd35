"""Which addresses are our own: mail that would go there goes in circles."""

import ipaddress
import socket


class Own:
    """Our names and addresses.

    names      our host names, in lower case
    listening  addresses we listen on
    """

    def __init__(self, names: frozenset[bytes], listening: frozenset[str]) -> None:
        self._names = names
        self._listening = listening

    def mine(self, host: bytes, ip: str) -> bool:
        """Whether a host of that name and address is us; the address may be unknown (empty)."""
        if host.lower() in self._names:
            return True
        if not ip:
            return False
        address = ipaddress.ip_address(ip)
        return address.is_unspecified or address.is_loopback or ip in self._listening or _here(address)


def _here(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an interface of this machine has the address.

    The kernel reaches its own addresses from themselves, and a UDP connect sends nothing.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:  # unreachable: not ours
        return False
