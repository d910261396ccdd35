"""The one place that asks DNS, and the seam for tests.

Three different answers: NoSuchDomain and NoData are the zone's own word, TryLater is
everything else.  Answers are kept for their TTL, negative ones too (RFC 2308).
"""

import asyncio
import os
import time
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from appliance import log

KEEP = 10_000  # answers
LONGEST = 3600.0  # seconds an answer is kept at most
NEGATIVE = 300.0  # seconds a negative answer is kept at most
NEGATIVE_UNKNOWN = 30.0  # seconds, if the zone does not say
LATER = 5.0  # seconds until a name server that gave no answer is asked again (RFC 2308 section 7: at most 300)
LIFETIME = 15.0  # seconds for a question, all name servers and repetitions included
RESOLV_CONF = "/etc/resolv.conf"
HOSTS = "/etc/hosts"


class DNSError(Exception):
    """A question without the wanted answer."""


class NoSuchDomain(DNSError):
    """The name does not exist."""


class NoData(DNSError):
    """The name exists and has no record of that type."""


class TryLater(DNSError):
    """No answer now: a time-out, a failing server, nonsense."""


class Resolver:
    """Questions about mail, answered from the cache or by the name servers.

    servers: (address, port) of each; none: those of resolv.conf, read again when it changes.
    """

    def __init__(
        self, servers: Sequence[tuple[str, int]] = (), resolv_conf: str = RESOLV_CONF, hosts: str = HOSTS
    ) -> None:
        self._resolv_conf = resolv_conf
        self._hosts = _Hosts(hosts)
        self._stamp: object = None
        self._trouble = ""
        self._stub = dns.asyncresolver.Resolver(configure=False)
        self._fixed = bool(servers)
        self._cache: dict[tuple[bytes, str, bool], tuple[float, list[bytes] | DNSError]] = {}
        if servers:
            self._stub.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]

    async def mx(self, domain: bytes) -> list[tuple[int, bytes]]:
        """(preference, host) of each MX record; host `.` is a null MX. Raises DNSError."""
        found = []
        for record in await self._ask(domain, "MX"):
            preference, _, host = record.partition(b" ")
            found.append((int(preference), host if host == b"." else host.rstrip(b".").lower()))
        return found

    async def addresses(self, host: bytes, *, ours: bool = False) -> list[str]:
        """IPv4, then IPv6 addresses (many networks have no way out by IPv6). Raises DNSError.

        ours: a host that our own configuration names, not the world: /etc/hosts comes first, and
        resolv.conf's search list completes the name (services in a cluster have short names).
        """
        if ours and (local := self._hosts.find(host)):
            return local
        questions = [self._ask(host, kind, search=ours) for kind in ("A", "AAAA")]
        answers = await asyncio.gather(*questions, return_exceptions=True)
        found: list[str] = []
        errors: list[BaseException] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                errors.append(answer)
            else:
                found += [record.decode() for record in answer]
        if found:
            return found
        # whichever answer leaves hope decides; the rest is the same answer twice
        raise next((error for error in errors if not isinstance(error, NoSuchDomain | NoData)), errors[0])

    async def _ask(self, name: bytes, kind: str, *, search: bool = False) -> list[bytes]:
        """The records' texts. Raises DNSError."""
        self._configure()
        key = (name.lower(), kind, search)
        until, known = self._cache.get(key, (0.0, None))
        if known is None or until < time.monotonic():
            known, keep = await self._answer(name, kind, search=search)
            self._cache.pop(key, None)
            while len(self._cache) >= KEEP:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = (time.monotonic() + keep, known)
        if isinstance(known, DNSError):
            raise known.with_traceback(None)
        return known

    async def _answer(self, name: bytes, kind: str, *, search: bool) -> tuple[list[bytes] | DNSError, float]:
        """An answer and how long it holds, in seconds."""
        what = f"{kind} of {name.decode('ascii', 'replace')}"
        try:
            question = dns.name.from_text(name.decode(), None if search else dns.name.root)
        except (dns.exception.DNSException, UnicodeError) as error:  # can't exist: an empty or too long label
            return NoSuchDomain(f"{what}: not a domain name: {error}"), NEGATIVE
        try:
            answer = await self._stub.resolve(question, kind, search=search, lifetime=LIFETIME)
        except dns.resolver.NXDOMAIN as error:
            responses = error.kwargs["responses"].values()
            return NoSuchDomain(f"{what}: no such domain"), min(map(_negative, responses), default=NEGATIVE_UNKNOWN)
        except dns.resolver.NoAnswer as error:
            return NoData(f"{what}: no such record"), _negative(error.kwargs["response"])
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return TryLater(f"{what}: {error}"), LATER
        return [record.to_text().encode() for record in answer], min(float(answer.ttl), LONGEST)

    def _configure(self) -> None:
        """Follow resolv.conf: a container's network may change it under us."""
        if self._fixed:
            return
        try:
            status = os.stat(self._resolv_conf)
            stamp: object = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp == self._stamp:
                return
            fresh = dns.asyncresolver.Resolver(self._resolv_conf)
        except (OSError, dns.exception.DNSException) as error:
            if self._stamp is None:
                raise TryLater(f"{self._resolv_conf}: {error}") from error
            if str(error) != self._trouble:  # a replaced file is out of the sandbox's reach: the known servers serve on
                self._trouble = str(error)
                log.trouble(f"{self._resolv_conf} can't be read again, its last name servers are asked", error)
            return
        self._stub, self._stamp, self._trouble = fresh, stamp, ""
        self._cache.clear()


def _negative(response: "dns.message.Message | dns.message.QueryMessage") -> float:
    """How long a negative answer holds: RFC 2308 section 5, the SOA's minimum."""
    for records in response.authority:
        if records.rdtype == dns.rdatatype.SOA:
            return float(min(records.ttl, records[0].minimum, NEGATIVE))
    return NEGATIVE_UNKNOWN


class _Hosts:
    """The names of /etc/hosts, read again when it changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: object = None
        self._names: dict[str, list[str]] = {}

    def find(self, host: bytes) -> list[str]:
        """The addresses of a name; none if the file does not know it, or can't be read."""
        try:
            status = os.stat(self._path)
            stamp: object = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp != self._stamp:
                with open(self._path, encoding="utf-8", errors="replace") as file:
                    self._names = _parse_hosts(file.read())
                self._stamp = stamp
        except OSError:  # no such file in a container from scratch: DNS knows all
            return []
        return self._names.get(host.decode("utf-8", "replace").lower(), [])


def _parse_hosts(text: str) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        for alias in aliases:
            names.setdefault(alias.lower(), []).append(address)
    return names
