"""The control files that remote obeys, read once for each generation."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.control import Generation
from appliance.remote.hops import Routes


@dataclass(frozen=True)
class Settings:
    """What one generation asks of remote.

    helo         the name we give ourselves
    concurrency  connections at most: this process's share of concurrencyremote; 0 holds the mail
    connect      seconds for a connection to come about
    answer       seconds for each answer at most; RFC 5321 section 4.5.3.2's own limits hold too
    resolvers    name servers to ask instead of those in resolv.conf
    own          addresses we listen on
    """

    name: str
    helo: bytes
    me: bytes
    concurrency: int
    connect: int
    answer: int
    routes: Routes
    resolvers: tuple[tuple[str, int], ...]
    own: frozenset[str]

    @classmethod
    def of(cls, generation: Generation) -> "Settings":
        """Raises OSError, LookupError, ValueError if the generation can't be used."""
        me = generation.me
        return cls(
            name=generation.name,
            helo=generation.line("helohost", me),
            me=me.lower(),
            concurrency=_share(generation.integer("concurrencyremote", 20), generation.mapping("processes")),
            connect=max(1, generation.integer("timeoutconnect", 60)),
            answer=max(1, generation.integer("timeoutremote", 1200)),
            routes=Routes(generation.mapping("smtproutes"), frozenset(generation.mapping("routesecurity"))),
            resolvers=tuple(map(_endpoint, generation.lines("resolvers") or ())),
            own=frozenset(_endpoint(value)[0] for value in generation.mapping("listen").values()),
        )


def _share(concurrency: int, processes: Mapping[bytes, bytes]) -> int:
    """What one of several remote programs may have, rounded up."""
    asked = processes.get(b"remote", b"1")
    return -(-concurrency // max(1, int(asked) if asked.isdigit() else 1))


def _endpoint(text: bytes) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:53` or `[2001:db8::1]:53`; port 53 if none. Raises ValueError."""
    host, colon, port = text.decode("ascii").rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
        host, port = text.decode("ascii"), "53"
    return str(ipaddress.ip_address(host.strip("[]"))), int(port)
