"""What one generation says about POP3: read once, then used by every session that begins under it."""

import ipaddress
import os
from pathlib import Path

from appliance.accounts import Accounts
from appliance.control import Generation

EVERYBODY = 2  # control/apop: every mailbox with a password has a plain secret; 1: some have


class Settings:
    """POP3 under one generation.  Raises OSError, LookupError, ValueError if its files can't be used."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.me = generation.me
        self.listen = generation.mapping("listen").get(b"pop3")
        self.max_sessions = generation.integer("maxsessions", 1000)
        self.max_sessions_per_client = generation.integer("maxsessionsperclient", 0)
        self._apop = generation.integer("apop", 0)
        self.accounts = Accounts.of(generation)
        self.folders = tuple(Path(os.fsdecode(line)) for line in generation.lines("secretfolders") or ())
        self._cleartext = [
            ipaddress.ip_network(line.decode("ascii")) for line in generation.lines("cleartextfrom") or ()
        ]

    def offers_apop(self, *, passwords: bool) -> bool:
        """Where it is the only way to log in, and where every mailbox has it.

        Clients such as curl try it as soon as they see a challenge, and give up when it fails.
        """
        return self._apop == EVERYBODY or (self._apop > 0 and not passwords)

    def may_send_passwords(self, client: str) -> bool:
        """Without TLS: from this host itself, and from networks whose owner said so (RFC 8314 section 3)."""
        address = ipaddress.ip_address(client.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address.is_loopback or any(address in network for network in self._cleartext)
