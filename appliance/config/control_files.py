"""Which control files `control:` may name, and which have a key of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.config import values


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What a control file holds: one line or many, each of a kind."""

    many: bool = False
    read: Callable[[str], Any] = values.control_line


KNOWN = {
    "badmailfrom": ControlFile(many=True),
    "bouncefrom": ControlFile(read=values.local_name),
    "bouncehost": ControlFile(read=values.domain),
    "defaultdomain": ControlFile(read=values.domain),
    "defaulthost": ControlFile(read=values.domain),
    "envnoathost": ControlFile(read=values.domain),
    "helohost": ControlFile(read=values.domain),
    "idhost": ControlFile(read=values.domain),
    "localiphost": ControlFile(read=values.domain),
    "percenthack": ControlFile(many=True, read=values.domain),
    "plusdomain": ControlFile(read=values.domain),
    "qmqpservers": ControlFile(many=True, read=values.ip_address),
    "resolvers": ControlFile(many=True, read=values.endpoint),  # ours: name servers instead of resolv.conf's
    "smtpgreeting": ControlFile(),
}

# read by programs that come later
LATER = frozenset({"defaultdomain", "defaulthost", "idhost", "plusdomain", "qmqpservers"})

# compiled from a key; writing the file as well would contradict it
OWN_KEY = {
    "me": "hostname",
    "locals": "hostname and domains",
    "rcpthosts": "domains",
    "morercpthosts": "domains",
    "virtualdomains": "domains",
    "smtproutes": "routes",
    "routesecurity": "routes",
    "concurrencylocal": "queue.concurrency.local",
    "concurrencyremote": "queue.concurrency.remote",
    "queuelifetime": "queue.lifetime",
    "databytes": "limits.message_size",
    "maxhops": "limits.hops",
    "maxrecipients": "limits.recipients",
    "maxsessions": "limits.sessions",
    "maxsessionsperclient": "limits.sessions_per_client",
    "timeoutsmtpd": "timeouts.smtpd",
    "timeoutremote": "timeouts.remote",
    "timeoutconnect": "timeouts.connect",
    "doublebounceto": "postmaster",
    "doublebouncehost": "postmaster",
    "defaultdelivery": "domains.….mailboxes.….deliver",
    "listen": "listen",
    "publicaddresses": "public_addresses",
    "relayfrom": "relay.allow_from",
    "barenewline": "smtp.normalize_from",
    "processes": "processes",
    "hardening": "hardening",
}
