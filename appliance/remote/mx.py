"""The addresses of a next hop, in the order they are tried (RFC 5321 section 5.1).

`candidates` and `usable` are pure; `addresses` asks the resolver.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.dns import NoData, NoSuchDomain, Resolver, TryLater
from appliance.errors import Permanent, Temporary
from appliance.remote.hops import Hop, literal

HOSTS = 10  # mail exchangers that are looked at; RFC 5321 section 5.1 asks for at least two addresses


@dataclass(frozen=True, slots=True)
class Address:
    """Where a connection may lead."""

    host: bytes
    ip: str
    port: int

    @property
    def name(self) -> str:
        """As it stands in the log: host[ip]:port."""
        return f"{self.host.decode('ascii', 'replace')}[{self.ip}]:{self.port}"


@dataclass(slots=True)
class Exchanger:
    """A mail exchanger and what is known of it.

    later: its addresses could not be found out now
    """

    preference: int
    host: bytes
    ips: list[str] = field(default_factory=list)
    later: bool = False


def candidates(records: list[tuple[int, bytes]], shuffle: Callable[[list[bytes]], None]) -> list[Exchanger]:
    """MX records sorted by preference, shuffled among equals. Raises Permanent for a null MX."""
    if [host for _, host in records] == [b"."]:
        raise Permanent(556, "5.1.10", "This domain accepts no mail")  # RFC 7505 section 4.1
    hosts: dict[int, list[bytes]] = {}
    for preference, host in records:
        if host != b".":
            hosts.setdefault(preference, []).append(host)
    ordered: list[Exchanger] = []
    for preference in sorted(hosts):
        shuffle(hosts[preference])
        ordered += [Exchanger(preference, host) for host in hosts[preference]]
    return ordered[:HOSTS]


def usable(exchangers: list[Exchanger], mine: Callable[[Exchanger], bool]) -> list[Exchanger]:
    """Those preferred to ourselves. Raises Permanent, Temporary if none is left or none has an address."""
    own = min((exchanger.preference for exchanger in exchangers if mine(exchanger)), default=None)
    if own is not None:  # RFC 5321 section 5.1: the preference that leads to us, and all behind it, would loop
        exchangers = [exchanger for exchanger in exchangers if exchanger.preference < own]
        if not exchangers:
            raise Permanent(554, "5.4.6", "This host is its best mail exchanger, and yet does not know the domain")
    found = [exchanger for exchanger in exchangers if exchanger.ips]
    if not found:
        if any(exchanger.later for exchanger in exchangers):
            raise Temporary(451, "4.4.3", "The addresses of its mail exchangers can't be found out now")
        raise Permanent(554, "5.4.4", "None of its mail exchangers has an address")
    return found


async def addresses(hop: Hop, resolver: Resolver, mine: Callable[[bytes, str], bool]) -> list[Address]:
    """The addresses of a hop. Raises Permanent, Temporary.

    mine: whether a host name or an IP address is our own; a route is not asked, as in qmail.
    """
    ip = literal(hop.host)
    try:
        if ip is not None:
            exchangers = [Exchanger(0, hop.host, [ip])]
        elif hop.routed:
            return [Address(hop.host, ip, hop.port) for ip in await resolver.addresses(hop.host, ours=True)]
        else:
            exchangers = await _exchangers(hop.host, resolver)
    except NoSuchDomain as error:
        raise Permanent(550, "5.1.2", _about("There is no host named", hop.host), error) from error
    except NoData as error:
        raise Permanent(
            550, "5.4.4", _about("There is neither a mail exchanger nor an address for", hop.host)
        ) from error
    except TryLater as error:
        raise Temporary(451, "4.4.3", _about("DNS gives no answer now for", hop.host), error) from error
    if not hop.routed:
        exchangers = usable(exchangers, lambda e: any(mine(e.host, ip) for ip in e.ips or [""]))
    return [Address(e.host, ip, hop.port) for e in exchangers for ip in e.ips]


async def _exchangers(domain: bytes, resolver: Resolver) -> list[Exchanger]:
    try:
        exchangers = candidates(await resolver.mx(domain), random.shuffle)
    except NoData:  # RFC 5321 section 5.1: the implicit MX
        return [Exchanger(0, domain, await resolver.addresses(domain))]
    await asyncio.gather(*(_locate(exchanger, resolver) for exchanger in exchangers))
    return exchangers


async def _locate(exchanger: Exchanger, resolver: Resolver) -> None:
    try:
        exchanger.ips = await resolver.addresses(exchanger.host)
    except TryLater:
        exchanger.later = True
    except (NoSuchDomain, NoData):
        pass  # a mail exchanger without an address is skipped; `usable` says so if none has one


def _about(text: str, host: bytes) -> str:
    """With the host's bytes that are not visible ASCII as `?`: it is whatever a sender wrote behind an @."""
    return f"{text} {''.join(chr(byte) if 32 < byte < 127 else '?' for byte in host)}"
