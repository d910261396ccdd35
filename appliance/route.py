"""Local or remote: the decisions of qmail-send about a recipient (locals, virtualdomains).

Pure: control files in, decision out.  smtpd asks it whether a recipient is ours, the queue
asks it where a recipient goes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance.control import Generation


def suffixes(domain: bytes) -> Iterator[bytes]:
    """The keys that match a domain, most special first: itself, `.suffix`es, the empty key."""
    yield domain
    dot = domain.find(b".", 1) if domain[:1] == b"." else domain.find(b".")
    while dot >= 0:
        yield domain[dot:]
        dot = domain.find(b".", dot + 1)
    yield b""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one recipient goes.

    local    delivered here, by users/assign
    address  the recipient as that channel sees it: with a virtual domain's prefix if local
    """

    local: bool
    address: bytes


class Routes:
    """The routing decisions of one generation."""

    def __init__(
        self,
        locals_: frozenset[bytes],
        virtualdomains: Mapping[bytes, bytes],
        envnoathost: bytes,
        percenthack: frozenset[bytes] = frozenset(),
    ) -> None:
        self._locals = locals_
        self._virtual = virtualdomains
        self._envnoathost = envnoathost
        self._percenthack = percenthack
        self._singles: dict[bytes, list[bytes]] = {}  # by domain: the names of its user@domain entries
        for key in virtualdomains:
            user, at, domain = key.rpartition(b"@")
            if at:
                self._singles.setdefault(domain, []).append(user)

    @classmethod
    def of(cls, generation: Generation) -> "Routes":
        """Read locals (default: me), virtualdomains, percenthack and envnoathost."""
        me = generation.me
        names = generation.lines("locals")
        return cls(
            frozenset(name.lower() for name in ([me] if names is None else names)),
            generation.mapping("virtualdomains"),
            generation.line("envnoathost", me),
            frozenset(name.lower() for name in generation.lines("percenthack") or ()),
        )

    def destination(self, recipient: bytes) -> Destination:
        """qmail-send's order: no @, percenthack, locals, virtualdomains, remote."""
        address = recipient if b"@" in recipient else recipient + b"@" + self._envnoathost
        local, _, domain = address.rpartition(b"@")
        domain = domain.lower()
        while domain in self._percenthack and b"%" in local:
            local, _, domain = local.rpartition(b"%")
            address, domain = local + b"@" + domain, domain.lower()
        if domain in self._locals:
            return Destination(True, address)
        for key in (local.lower() + b"@" + domain, *suffixes(domain)):
            prepend = self._virtual.get(key)
            if prepend is not None:
                if not prepend:  # an exception: goes remote although a wider key matches
                    break
                return Destination(True, prepend + b"-" + address)
        return Destination(False, address)

    def public(self, address: bytes) -> bytes:
        """The recipient as the world knows it: a virtual domain's prefix taken off again.

        Also that of a user@domain entry, which qmail leaves on: its internal names are nobody's business.
        """
        local, _, host = address.rpartition(b"@")
        domain = host.lower()
        for user in self._singles.get(domain, ()):
            single = self._virtual[user + b"@" + domain]
            if single and local.lower() == single.lower() + b"-" + user:
                return address[len(single) + 1 :]
        for key in suffixes(domain):
            prepend = self._virtual.get(key)
            if prepend is not None:
                prefix = prepend + b"-"
                return address[len(prefix) :] if prepend and address.startswith(prefix) else address
        return address
