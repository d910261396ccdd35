"""What one generation says about POP3: read once, then used by every session that begins under it."""

import ipaddress
import os
from pathlib import Path

from appliance.accounts import Accounts
from appliance.control import Generation


class Settings:
    """POP3 under one generation.  Raises OSError, LookupError, ValueError if its files can't be used."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.me = generation.me
        self.listen = generation.mapping("listen").get(b"pop3")
        self.max_sessions = generation.integer("maxsessions", 1000)
        self.max_sessions_per_client = generation.integer("maxsessionsperclient", 0)
        self.apop = bool(generation.integer("apop", 0))
        self.accounts = Accounts.of(generation)
        self.folders = tuple(Path(os.fsdecode(line)) for line in generation.lines("secretfolders") or ())
        self._cleartext = [
            ipaddress.ip_network(line.decode("ascii")) for line in generation.lines("cleartextfrom") or ()
        ]

    def may_send_passwords(self, client: str) -> bool:
        """Without TLS: from this host itself, and from networks whose owner said so (RFC 8314 section 3)."""
        address = ipaddress.ip_address(client.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address.is_loopback or any(address in network for network in self._cleartext)
