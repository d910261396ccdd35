"""The control files that remote obeys, read once for each generation."""

from dataclasses import dataclass
from ipaddress import ip_address

from appliance import endpoint
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
    own          addresses we listen on, and those that lead to us though no interface has them
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
            # what one of several remote programs may have, rounded up
            concurrency=-(-generation.integer("concurrencyremote", 20) // max(1, generation.processes("remote"))),
            connect=max(1, generation.integer("timeoutconnect", 60)),
            answer=max(1, generation.integer("timeoutremote", 1200)),
            routes=Routes(
                generation.mapping("smtproutes"),
                frozenset(generation.mapping("routesecurity")),
                generation.mapping("qmtproutes"),
            ),
            resolvers=tuple(
                (str(ip), port)
                for ip, port in (endpoint.parse(line, 53) for line in generation.lines("resolvers") or ())
            ),
            own=frozenset(str(endpoint.parse(value, 0)[0]) for value in generation.mapping("listen").values())
            | frozenset(str(ip_address(line.decode("ascii"))) for line in generation.lines("publicaddresses") or ()),
        )
