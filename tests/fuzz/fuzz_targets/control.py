"""Raw control files: every program's settings are read from them, or ValueError or LookupError says that they can't be.

Lines of the input are `name:line`, each adding a line to that control file.
"""

import host

from appliance import policy
from appliance.launcher.limits import Limits, networked
from appliance.pop3d import settings as pop3d
from appliance.remote.settings import Settings as Remote
from appliance.route import Routes

_NAMES = "databytes maxhops queuelifetime timeoutsmtpd concurrencyremote processes programlimits listen smtproutes"
_NAMES += " qmtproutes resolvers publicaddresses relayfrom qmqpfrom barenewline cleartextfrom virtualdomains locals"
_NAMES += " percenthack rcpthosts badmailfrom programnetwork envnoathost me bounces log apop routesecurity"
WORDS = tuple(f"\n{name}:".encode() for name in _NAMES.split())
WORDS += (
    b"9" * 30,
    b"9" * 5000,
    b"10.0.0.0/8",
    b"[::1]:25",
    b":",
    b"smtpd:2",
    b"time:7",
    b"\xb2",
    b"*",
    b"99999",
    b"/",
)


def target(data: bytes) -> None:
    files = {"me": b"mx.here.example\n"}
    for line in data.split(b"\n"):
        name, _, value = line.partition(b":")
        files[name.decode("latin-1")] = files.get(name.decode("latin-1"), b"") + value + b"\n"
    generation = host.Given(files)
    for read in (_routed, _remote, _networks, pop3d.Settings):
        try:
            read(generation)
        except (ValueError, LookupError):  # the old configuration stays, and the log says why
            continue
    limits = Limits.of(generation)
    assert min(limits.time, limits.memory, limits.processes, limits.file_size) >= 0
    assert all(not home.endswith(b"/") for home in networked(generation))
    assert generation.processes("smtpd") >= 0
    assert generation.integer("databytes", 0) >= 0


def _routed(generation: host.Given) -> None:
    routes = Routes.of(generation)
    for recipient in (b"joe@mx.here.example", b"joe", b"a%b@c.d", b"@", b"joe@" + generation.line("locals", b"")):
        found = routes.destination(recipient)
        assert b"@" in found.address
        routes.public(found.address)


def _remote(generation: host.Given) -> None:
    settings = Remote.of(generation)
    assert all(0 < port < 65536 for port in settings.routes.ports)
    assert all(0 <= port < 65536 for _, port in settings.resolvers)


def _networks(generation: host.Given) -> None:
    for name in ("relayfrom", "qmqpfrom", "barenewline", "cleartextfrom"):
        known = policy.networks(generation.lines(name) or ())
        policy.client("192.0.2.1", known, ())
