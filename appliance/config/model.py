"""What a valid configuration says, as frozen values: every text read, every default filled in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from appliance.config import numbers, values
from appliance.config.problem import Path
from appliance.config.values import Network, Via


@dataclass(frozen=True, slots=True)
class Listener:
    """What listens on an address and port."""

    name: str
    address: str
    port: int
    allow: tuple[Network, ...] = ()
    cleartext: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Extension:
    """An address of a mailbox, `<mailbox>-<name>`; `lines` are those of its dot-qmail file."""

    name: str
    key: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox; `key` is its name as the YAML spells it.

    network: its programs may connect to other hosts
    """

    name: str
    key: str
    deliver: tuple[str, ...]
    password: str | None
    password_file: str | None
    password_plain: bool = False
    extensions: tuple[Extension, ...] = ()
    network: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that leads to others; `lines` are those of its dot-qmail file, forwards to full addresses mostly.

    place: of the lines, below the domain; listed: they are a list there, not one text
    """

    name: str
    key: str
    lines: tuple[str, ...]
    place: Path
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of ours; the catch-all's lines are as an alias's, none if there is none.

    listed: the YAML has the catch-all as a list
    """

    name: str
    key: str
    mailboxes: tuple[Mailbox, ...]
    aliases: tuple[Alias, ...]
    catch_all: tuple[str, ...]
    listed: bool


@dataclass(frozen=True, slots=True)
class Users:
    """Users in qmail's own form.

    file    the file that assign comes from, relative to the YAML
    assign  lines of users/assign without the dot at the end
    homes   dot-qmail files by home: name, lines
    """

    file: str | None
    assign: tuple[bytes, ...]
    homes: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for other domains goes; `domain` is the key in smtproutes, `key` what the YAML says."""

    domain: str
    key: str
    via: Via
    username: str | None
    password_file: str | None

    @property
    def secured(self) -> bool:
        """It needs TLS or AUTH."""
        return self.via.scheme == "smtps" or self.username is not None or self.password_file is not None


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of mail.yaml.

    postmaster   the address of the postmaster, by default the first domain's
    public       addresses of ours that no interface has
    numbers      control files that hold one number: name, value
    bounces      how senders are told: name, value
    log_format   what the log looks like: json or qmail
    processes    how many of each program
    programs     limits of commands in dot-qmail files: name, number
    networked    homes besides mailboxes whose commands may connect to other hosts
    users        of a qmail host, in qmail's own form
    control      raw control files: name, lines
    contradicted warnings about raw control files that win over keys
    """

    hostname: str
    postmaster: str
    public: tuple[str, ...]
    listeners: tuple[Listener, ...]
    domains: tuple[Domain, ...]
    relay_from: tuple[Network, ...]
    routes: tuple[Route, ...]
    bare_newline: str
    normalize_from: tuple[Network, ...]
    numbers: tuple[tuple[str, int], ...]
    bounces: tuple[tuple[str, str | int], ...]
    log_format: str
    processes: tuple[tuple[str, int], ...]
    programs: tuple[tuple[str, int], ...]
    networked: tuple[str, ...]
    hardening: tuple[tuple[str, int], ...]
    certificate: str | None
    users: Users
    control: tuple[tuple[str, tuple[str, ...]], ...]
    contradicted: tuple[str, ...] = ()


def build(tree: dict[str, Any]) -> Configuration:
    """The configuration of a tree that the schema has passed and filled."""
    domains = tuple(_domain(key, value) for key, value in tree["domains"].items())
    # with neither domains nor users it never comes into force
    alone = tree["hostname"].lower() if tree["users"]["assign"] else "unknown.invalid"
    first = domains[0].name if domains else alone
    tls = tree["tls"]
    return Configuration(
        hostname=values.hostname(tree["hostname"]),
        postmaster=values.address(tree["postmaster"] or f"postmaster@{first}"),
        public=tuple(map(values.ip_address, tree["public_addresses"])),
        listeners=tuple(_listener(name, value) for name, value in tree["listen"].items()),
        domains=domains,
        relay_from=_networks(tree["relay"]["allow_from"]),
        routes=tuple(_route(value) for value in tree["routes"]),
        bare_newline=tree["smtp"]["bare_newline"],
        normalize_from=_networks(tree["smtp"]["normalize_from"]),
        numbers=numbers.limits(tree),
        bounces=numbers.bounces(tree["bounces"]),
        log_format=tree["log"]["format"],
        processes=tuple(tree["processes"].items()),
        programs=numbers.programs(tree["programs"]),
        networked=tuple(tree["programs"]["network"]),
        hardening=tuple((name, int(value)) for name, value in tree["hardening"].items()),
        certificate=tls["certificate"] if tls else None,
        users=_users(tree["users"]),
        control=tuple((name, _lines(value)) for name, value in tree["control"].items()),
    )


def _listener(name: str, value: dict[str, Any]) -> Listener:
    allow, cleartext = _networks(value.get("allow", [])), _networks(value.get("cleartext_from", []))
    return Listener(name, values.ip_address(value["address"]), value["port"], allow, cleartext)


def _domain(key: str, value: dict[str, Any]) -> Domain:
    name = values.mail_domain(key)
    catch_all = value["catch_all"]
    listed = isinstance(catch_all, list)
    return Domain(
        name,
        key,
        tuple(_mailbox(each, inner) for each, inner in value["mailboxes"].items()),
        (
            *(
                Alias(values.local_name(each), each, _alias_lines(targets, name), ("aliases", each))
                for each, targets in value["aliases"].items()
            ),
            *(alias for each, inner in value["lists"].items() for alias in _list(each, inner, name)),
        ),
        _alias_lines(catch_all if listed else [] if catch_all is None else [catch_all], name),
        listed,
    )


def _list(key: str, value: dict[str, Any], domain: str) -> Iterator[Alias]:
    """The aliases that make a mailing list: qmail's names for its owner, and for each member's bounces."""
    name = values.local_name(key)
    yield Alias(name, key, _alias_lines(value["members"], domain), ("lists", key, "members"))
    owner = _alias_lines([value["owner"]], domain)
    for ending in ("-owner", *(["-owner-default"] if value["verp"] else [])):
        yield Alias(f"{name}{ending}", key, owner, ("lists", key, "owner"), listed=False)


def _alias_lines(targets: list[str], domain: str) -> tuple[str, ...]:
    found = ((each, values.alias_line(each)) for each in targets)
    # a name of this domain, an address, or a dot-qmail line as it is
    return tuple(
        each if values.is_line(each) else f"&{name}" if "@" in name else f"&{name}@{domain}" for each, name in found
    )


def _mailbox(key: str, value: dict[str, Any]) -> Mailbox:
    password = value["password"]
    return Mailbox(
        values.local_name(key),
        key,
        tuple(value["deliver"]),
        password if isinstance(password, str) else None,
        password["file"] if isinstance(password, dict) else None,
        password["plain"] if isinstance(password, dict) else False,
        tuple(Extension(values.local_name(each), each, tuple(lines)) for each, lines in value["extensions"].items()),
        value["programs"]["network"],
    )


def _route(value: dict[str, Any]) -> Route:
    return Route(
        values.route_domain(value["domain"]),
        value["domain"],
        values.via(value["via"]),
        value["username"],
        value["password"]["file"] if value["password"] else None,
    )


def _users(value: dict[str, Any]) -> Users:
    assign = value["assign"]
    lines = assign if isinstance(assign, list) else []
    return Users(
        assign if isinstance(assign, str) else None,
        tuple(line.encode() for line in lines if line != "."),
        tuple(
            (home, tuple((name, tuple(lines)) for name, lines in files.items()))
            for home, files in value["homes"].items()
        ),
    )


def _networks(texts: list[str]) -> tuple[Network, ...]:
    return tuple(values.network(text) for text in texts)


def _lines(value: str | int | list[str | int]) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)
