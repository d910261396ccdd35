"""Which control files `control:` may name, and which of them are compiled from keys as well."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.config import control_lines, values
from appliance.config.problem import Path


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What a control file holds: one line or many, each of a kind."""

    many: bool = False
    read: Callable[[str], Any] = values.control_line


KNOWN = {
    "badmailfrom": ControlFile(many=True),
    "bouncefrom": ControlFile(read=values.local_name),
    "bouncehost": ControlFile(read=values.domain),
    "concurrencylocal": ControlFile(read=control_lines.count),
    "concurrencyremote": ControlFile(read=control_lines.count),
    "databytes": ControlFile(read=control_lines.count),
    "defaultdelivery": ControlFile(many=True, read=values.delivery_line),
    "defaultdomain": ControlFile(read=values.domain),
    "defaulthost": ControlFile(read=values.domain),
    "doublebouncehost": ControlFile(read=values.domain),
    "doublebounceto": ControlFile(read=values.local_name),
    "envnoathost": ControlFile(read=values.domain),
    "helohost": ControlFile(read=values.domain),
    "idhost": ControlFile(read=values.domain),
    "localiphost": ControlFile(read=values.domain),
    "locals": ControlFile(many=True, read=control_lines.host),
    "me": ControlFile(read=values.domain),
    "morercpthosts": ControlFile(many=True, read=control_lines.listed),
    "percenthack": ControlFile(many=True, read=values.domain),
    "plusdomain": ControlFile(read=values.domain),
    "qmqpservers": ControlFile(many=True, read=values.ip_address),
    "qmtproutes": ControlFile(many=True, read=control_lines.route),
    "queuelifetime": ControlFile(read=control_lines.count),
    "rcpthosts": ControlFile(many=True, read=control_lines.listed),
    "resolvers": ControlFile(many=True, read=values.endpoint),  # ours: name servers instead of resolv.conf's
    "smtpgreeting": ControlFile(),
    "smtproutes": ControlFile(many=True, read=control_lines.route),
    "timeoutconnect": ControlFile(read=control_lines.count),
    "timeoutremote": ControlFile(read=control_lines.count),
    "timeoutsmtpd": ControlFile(read=control_lines.count),
    "virtualdomains": ControlFile(many=True, read=control_lines.virtual),
}

# qmail's files that keys of ours are compiled into; the raw file wins
ALSO_KEY: dict[str, Path] = {
    "me": ("hostname",),
    "smtproutes": ("routes",),
    "qmtproutes": ("routes",),
    "concurrencylocal": ("queue", "concurrency", "local"),
    "concurrencyremote": ("queue", "concurrency", "remote"),
    "queuelifetime": ("queue", "lifetime"),
    "databytes": ("limits", "message_size"),
    "timeoutsmtpd": ("timeouts", "smtpd"),
    "timeoutremote": ("timeouts", "remote"),
    "timeoutconnect": ("timeouts", "connect"),
    "doublebounceto": ("postmaster",),
    "doublebouncehost": ("postmaster",),
}

# ours, not qmail's: they have a key and no other way
OWN_KEY = {
    "routesecurity": "routes",
    "freedisk": "queue.free_disk",
    "maxcommands": "limits.commands",
    "maxerrors": "limits.errors",
    "maxhops": "limits.hops",
    "maxrecipients": "limits.recipients",
    "maxrefusals": "limits.refusals",
    "maxsessions": "limits.sessions",
    "maxsessionsperclient": "limits.sessions_per_client",
    "queuesize": "queue.size",
    "timeoutsession": "timeouts.session",
    "listen": "listen",
    "publicaddresses": "public_addresses",
    "relayfrom": "relay.allow_from",
    "barenewline": "smtp.normalize_from",
    "processes": "processes",
    "programlimits": "programs",
    "programnetwork": "programs.network",
    "bounces": "bounces",
    "log": "log",
    "cleartextfrom": "listen.pop3.cleartext_from",
    "secretfolders": "domains.….mailboxes.….password",
    "apop": "domains.….mailboxes.….password.plain",
    "hardening": "hardening",
}
