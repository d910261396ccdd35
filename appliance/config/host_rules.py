"""Rules about the host: listeners, relaying, routes, control files.  Pure."""

from collections.abc import Iterator
from ipaddress import collapse_addresses, ip_address

from appliance.config.control_files import KNOWN, OWN_KEY
from appliance.config.model import Configuration, Listener, Route
from appliance.config.problem import Finding, Path, nearest
from appliance.config.sound import Unsound
from appliance.config.values import Network


def listeners(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """Two listeners can't have one address and port."""
    for number, listener in enumerate(configuration.listeners):
        for other in configuration.listeners[:number]:
            if listener.port == other.port and _same_address(listener, other):
                text = f"found {listener.address} port {listener.port}, which {other.name} has; choose another port"
                yield Finding(("listen", listener.name, "port"), text)


def _same_address(one: Listener, two: Listener) -> bool:
    first, second = ip_address(one.address), ip_address(two.address)
    if first.version != second.version:
        return False
    return first == second or first.is_unspecified or second.is_unspecified


def open_relay(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """Nobody lets the whole world relay by mistake."""
    qmqp = [listener for listener in configuration.listeners if listener.name == "qmqp"]
    places: list[tuple[Path, tuple[Network, ...]]] = [(("relay", "allow_from"), configuration.relay_from)]
    places += [(("listen", "qmqp", "allow"), listener.allow) for listener in qmqp]
    for path, networks in places:
        everyone = [number for number, network in enumerate(networks) if not network.prefixlen]
        for number in everyone:
            text = f"found {networks[number]}, everybody: an open relay; name the networks of your own clients"
            yield Finding((*path, number), text)
        if not everyone and any(not whole.prefixlen for whole in _together(networks)):
            yield Finding(path, "these networks together are everybody: an open relay; name those of your own clients")


def _together(networks: tuple[Network, ...]) -> Iterator[Network]:
    for version in (4, 6):
        yield from collapse_addresses(network for network in networks if network.version == version)  # type: ignore[type-var]


def newlines(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """Normalizing is for named networks only."""
    path: Path = ("smtp", "bare_newline")
    if configuration.bare_newline == "normalize" and not configuration.normalize_from:
        yield Finding(
            path, "found normalize without networks; add `normalize_from: [10.1.2.0/24]` with those of your old senders"
        )
    if configuration.bare_newline == "reject" and configuration.normalize_from:
        path = ("smtp", "normalize_from")
        yield Finding(
            path, "found networks, yet bare_newline is reject; write `bare_newline: normalize` or remove them"
        )


def routes(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """Routes do not contradict each other, nor the domains, nor themselves."""
    ours = {domain.name for domain in configuration.domains} | {configuration.hostname}
    seen: dict[str, int] = {}
    for number, route in enumerate(configuration.routes):
        path: Path = ("routes", number)
        if route.domain in seen:
            other = configuration.routes[seen[route.domain]]
            what = "the same again" if other.via == route.via else "another way for the same domain"
            text = f"found {route.key} a second time, {what} as in routes[{seen[route.domain]}]; keep one"
            yield Finding((*path, "domain"), text)
        seen.setdefault(route.domain, number)
        if route.domain in ours:
            text = f"found {route.key}, which this host delivers itself: the route would never be used; remove one of the two"
            yield Finding((*path, "domain"), text)
        if route.via.host == configuration.hostname:
            yield Finding(
                (*path, "via"), f"found {route.via.host}, this host itself: mail would go round; name the next host"
            )
        yield from _credentials(path, route)


def _credentials(path: Path, route: Route) -> Iterator[Finding]:
    if route.username is not None and route.password_file is None:
        yield Finding(
            (*path, "username"), "found a username without a password; add `password: {file: /run/secrets/…}`"
        )
    if route.password_file is not None and route.username is None:
        yield Finding((*path, "password"), "found a password without a username; add `username: …`")
    if not route.via.host and (route.username is not None or route.password_file is not None):
        yield Finding((*path, "via"), "found mx with a username or password; they belong to one host: name it")


def control(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """Raw control files are known ones without a key of their own."""
    for name, lines in configuration.control:
        path: Path = ("control", name)
        if name in OWN_KEY:
            yield Finding(path, f"found a control file that has a key of its own; use {OWN_KEY[name]}", at_key=True)
        elif name not in KNOWN:
            meant = nearest(name, KNOWN)
            hint = f"did you mean {meant}?" if meant else "known here: " + ", ".join(KNOWN)
            yield Finding(path, f"no control file that Paperpath knows; {hint}", at_key=True)
        elif not KNOWN[name].many and len(lines) != 1:
            yield Finding(path, f"found {len(lines)} lines; {name} holds one")
        else:
            yield from _lines(path, lines)


def _lines(path: Path, lines: tuple[str, ...]) -> Iterator[Finding]:
    known = KNOWN[str(path[-1])]
    for number, line in enumerate(lines):
        try:
            known.read(line)
        except ValueError as error:
            yield Finding((*path, number) if known.many else path, f"found the text {line!r}; {error}")
