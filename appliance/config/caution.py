"""What is valid and yet should be read by the owner: what is not served yet, and what is risky.  Pure."""

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address, ip_network

from appliance import dotqmail
from appliance.config.directory import line_lists
from appliance.config.model import Configuration
from appliance.config.passwords import maildir
from appliance.config.problem import one_line, spell
from appliance.config.values import Network

_SERVED = frozenset({"smtp", "pop3", "qmtp", "qmqp"})
_PRIVATE = [
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10",
        "fc00::/7", "fe80::/10", "::1/128",
    )
]  # fmt: skip


def warnings(configuration: Configuration) -> list[str]:
    """Each `key: what to know`, in the file's order."""
    return [
        one_line(text)
        for part in (_contradicted, _listeners, _passwords, _deliver, _relay, _routes, _tls)
        for text in part(configuration)
    ]


def _contradicted(configuration: Configuration) -> Iterator[str]:
    yield from configuration.contradicted


def _listeners(configuration: Configuration) -> Iterator[str]:
    if not configuration.listeners:
        yield "listen: nothing listens; mail comes in by no door"
    for listener in configuration.listeners:
        if listener.name not in _SERVED:
            yield f"listen.{listener.name}: not served yet; nothing listens on port {listener.port}"
        if listener.name == "qmqp" and not listener.allow:
            yield "listen.qmqp: without `allow:` nobody may use it"


def _passwords(configuration: Configuration) -> Iterator[str]:
    boxes = [box for domain in configuration.domains for box in domain.mailboxes]
    count = sum(1 for box in boxes if box.password is not None or box.password_file is not None)
    pop3 = next((listener for listener in configuration.listeners if listener.name == "pop3"), None)
    if pop3 is None:
        if count:
            yield f"domains: the passwords of {count} mailbox{'es' * (count > 1)} are not used; nothing asks for them"
        return
    if not count:
        yield "listen.pop3: no mailbox has a password, so nobody can log in"
    elif not pop3.cleartext and not ip_address(pop3.address).is_loopback:
        yield "listen.pop3: TLS is not served yet, so only this host and networks of cleartext_from can log in with a password"
    for network in pop3.cleartext:
        if network.num_addresses > 1 and not any(_inside(network, private) for private in _PRIVATE):
            yield f"listen.pop3.cleartext_from: {network} is wider than a private network; passwords cross it in clear"
    for domain in configuration.domains:
        for box in domain.mailboxes:
            if (box.password is not None or box.password_file is not None) and not maildir(box):
                path = f"domains.{domain.key}.mailboxes.{box.key}"
                yield f"{path}: POP3 finds no mail there, for nothing is delivered to a Maildir in it"


def _deliver(configuration: Configuration) -> Iterator[str]:
    for where, lines in line_lists(configuration):
        if lines:  # an empty file stands for the default delivery
            path = spell(where)
            found = dotqmail.instructions("\n".join(lines).encode())
            if not found:
                yield f"{path}: no line delivers; this address throws its mail away"


def _relay(configuration: Configuration) -> Iterator[str]:
    for network in configuration.relay_from:
        if network.num_addresses > 1 and not any(_inside(network, private) for private in _PRIVATE):
            yield f"relay.allow_from: {network} is wider than a private network; every host in it may send mail anywhere"


def _inside(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return not isinstance(other, IPv4Network) and network.subnet_of(other)


def _routes(configuration: Configuration) -> Iterator[str]:
    for number, route in enumerate(configuration.routes):
        if route.secured:
            yield (
                f"routes[{number}]: TLS and AUTH are not served yet; mail for {route.key} waits in the queue, "
                "it is never sent in clear"
            )


def _tls(configuration: Configuration) -> Iterator[str]:
    if configuration.certificate is not None:
        yield "tls: not served yet; clients are not offered STARTTLS"
