"""Which host a domain's mail goes to next: smtproutes, as qmail-remote reads it, and qmtproutes of the same form.

Pure.  A route's value is `relay[:port]`; an empty one means: by MX after all.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.errors import Temporary
from appliance.route import suffixes

SMTP = 25
QMTP = 209


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop: the relay of a route, or a domain whose mail exchangers are asked for."""

    host: bytes
    port: int = SMTP
    routed: bool = False
    qmtp: bool = False


class SecureRoute(Temporary):
    """The route needs TLS or AUTH, which is not served yet: its mail waits and never goes in clear."""


class Routes:
    """The routes of one generation."""

    def __init__(
        self,
        smtproutes: Mapping[bytes, bytes],
        secured: frozenset[bytes] = frozenset(),
        qmtproutes: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self._relays = {key: relay(value) for key, value in smtproutes.items()}
        self._relays |= {key: relay(value, qmtp=True) for key, value in (qmtproutes or {}).items()}
        self._secured = secured

    @property
    def ports(self) -> frozenset[int]:
        """The TCP ports that routes lead to."""
        return frozenset(hop.port for hop in self._relays.values() if hop)

    def next_hop(self, domain: bytes) -> Hop:
        """Where mail for a domain (lower case) goes. Raises SecureRoute."""
        for key in suffixes(domain):
            if key in self._secured:
                raise SecureRoute(451, "4.7.0", "The route for this host needs TLS or AUTH, which is not served yet")
            if key in self._relays:
                return self._relays[key] or Hop(domain)
        return Hop(domain)


def relay(value: bytes, *, qmtp: bool = False) -> Hop | None:
    """The relay in a route's value; None if it is empty."""
    value = value.strip()
    usual = QMTP if qmtp else SMTP
    if value.startswith(b"["):  # a literal in brackets: colons in it are its own
        host, _, rest = value[1:].partition(b"]")
        port = rest.removeprefix(b":")
    elif literal(value):
        host, port = value, b""
    else:
        host, _, port = value.partition(b":")
    if not host:
        return None
    digits = port[: len(port) - len(port.lstrip(b"0123456789"))]
    number = int(digits) if digits and len(digits) <= 5 else usual
    return Hop(host.lower(), number if 0 < number < 65536 else usual, routed=True, qmtp=qmtp)


def literal(host: bytes) -> str | None:
    """The IP address that a host is written as, brackets optional (RFC 5321 section 4.1.3), or None."""
    if host[:1] == b"[" and host[-1:] == b"]":
        host = host[1:-1]
    try:
        text = host.decode("ascii")
        return str(ipaddress.ip_address(text[5:] if text[:5].lower() == "ipv6:" else text))
    except ValueError:
        return None
