"""A configuration to the files of a generation.  Pure: the same configuration, the same bytes.

docs/internals.md describes the files.  What has no order is sorted; what has one keeps it.
"""

import json
from collections.abc import Iterable

from appliance import dotqmail, users
from appliance.config import passwords, raw
from appliance.config.model import Configuration, Domain, Route

USER = "paperpath:10025:0"  # nominal: everything runs as the uid the container was given
# at the host's own name; the postmaster has their mail: that of cron and of answers to bounces is for somebody's eyes
HOST = ("postmaster", "mailer-daemon", "root")  # the aliases without which qmail's INSTALL lets no host be


def compile_files(configuration: Configuration) -> dict[str, bytes]:
    """Every file of the generation, by its path in it, in the paths' order."""
    own = own_control(configuration)
    files = {f"control/{name}": data for name, data in raw.over(own, configuration.control).items()}
    assign = _assign(configuration)
    files["users/assign"] = assign
    files["users/cdb"] = users.build(assign)
    files["users/longest"] = _lines([str(users.longest(assign))])
    files |= passwords.compile_files(configuration)
    files |= _dot_qmail(configuration)
    return dict(sorted(files.items()))


def own_control(configuration: Configuration) -> dict[str, bytes]:
    """The control files that keys stand for, without regard to raw ones."""
    names = sorted(domain.name for domain in configuration.domains)
    hosts = [] if configuration.hostname in names else [configuration.hostname]
    postmaster, _, postmaster_host = configuration.postmaster.rpartition("@")
    files = {
        "me": _lines([configuration.hostname]),
        "locals": _lines(hosts),
        "rcpthosts": _lines(sorted(names + hosts)),
        "virtualdomains": _lines(f"{name}:{name}" for name in names),
        "smtproutes": _lines(sorted(_route(route) for route in configuration.routes if route.via.scheme != "qmtp")),
        "routesecurity": _lines(sorted(_security(route) for route in configuration.routes if route.secured)),
        "doublebounceto": _lines([postmaster]),
        "doublebouncehost": _lines([postmaster_host]),
        "defaultdelivery": _lines(["./Maildir/"]),
        "listen": _lines(
            sorted(f"{each.name}:{_host_port(each.address, each.port)}" for each in configuration.listeners)
        ),
        "publicaddresses": _lines(sorted(configuration.public)),
        "relayfrom": _lines(sorted(map(str, configuration.relay_from))),
        "barenewline": _lines(sorted(map(str, configuration.normalize_from))),
        "processes": _lines(sorted(f"{name}:{count}" for name, count in configuration.processes)),
        "programlimits": _lines(f"{name}:{number}" for name, number in configuration.programs),
        "programnetwork": _lines(sorted(_networked(configuration))),
        "bounces": _lines(f"{name}:{value}" for name, value in configuration.bounces),
        "log": _lines([f"format:{configuration.log_format}"]),
        "hardening": _lines(f"{name}:{value}" for name, value in sorted(configuration.hardening)),
    }
    if qmtp := [route for route in configuration.routes if route.via.scheme == "qmtp"]:
        files["qmtproutes"] = _lines(sorted(map(_route, qmtp)))
    files |= {
        f"{each.name}from": _lines(sorted(map(str, each.allow)))
        for each in configuration.listeners
        if each.name == "qmqp"
    }
    files |= {name: _lines([str(number)]) for name, number in configuration.numbers}
    return files


def _networked(configuration: Configuration) -> set[str]:
    """Homes whose programs may connect to other hosts."""
    homes = {
        f"mail/{domain.name}/{mailbox.name}"
        for domain in configuration.domains
        for mailbox in domain.mailboxes
        if mailbox.network
    }
    return homes | set(configuration.networked)


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _route(route: Route) -> str:
    # an empty relay means the domain's own MX
    return f"{route.domain}:{route.via.host}:{route.via.port}" if route.via.host else f"{route.domain}:"


def _security(route: Route) -> str:
    needs = {"scheme": route.via.scheme, "username": route.username, "password_file": route.password_file}
    given = {name: value for name, value in needs.items() if value is not None}
    return f"{route.domain}:{json.dumps(given, sort_keys=True)}"


def _assign(configuration: Configuration) -> bytes:
    lines: list[str] = []
    for domain in sorted(configuration.domains, key=lambda each: each.name):
        home = f"mail/{domain.name}"
        names = sorted(mailbox.name for mailbox in domain.mailboxes)
        lines += [f"={domain.name}-{name}:{USER}:{home}/{name}:::" for name in names]
        extended = sorted(mailbox.name for mailbox in domain.mailboxes if mailbox.extensions)
        lines += [f"+{domain.name}-{name}-:{USER}:{home}/{name}:-::" for name in extended]
        # with it, a wildcard of qmail's users never gets what a domain does not know
        if domain.aliases or domain.catch_all or configuration.users.assign:
            lines.append(f"+{domain.name}-:{USER}:{home}:-::")
    lines += [f"={name}:{USER}:mail:-:{name}:" for name in own_names(configuration)]
    return _lines(lines) + b"".join(line + b"\n" for line in (*configuration.users.assign, b"."))


def own_names(configuration: Configuration) -> list[str]:
    """Those of HOST that we make: all, unless the hostname is a domain, but for those that are users of qmail's."""
    if configuration.hostname in {domain.name for domain in configuration.domains}:
        return []
    keys = [line.partition(b":")[0].lower() for line in configuration.users.assign]

    def taken(name: bytes) -> bool:
        return any(name.startswith(key[1:]) if key[:1] == b"+" else key[1:] == name for key in keys)

    return [name for name in HOST if not taken(name.encode())]


def _dot_qmail(configuration: Configuration) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for domain in configuration.domains:
        files |= _domain(domain)
    for name in own_names(configuration):
        files[f"mail/{alias_file(name)}"] = _lines([f"&{configuration.postmaster}"])
    for home, inner in configuration.users.homes:
        files |= {f"{home}/{name}": _lines(lines) for name, lines in inner}
    return files


def _domain(domain: Domain) -> dict[str, bytes]:
    home = f"mail/{domain.name}"
    files = {f"{home}/{mailbox.name}/.qmail": _lines(mailbox.deliver) for mailbox in domain.mailboxes}
    for mailbox in domain.mailboxes:
        for extension in mailbox.extensions:
            files[f"{home}/{mailbox.name}/{alias_file(extension.name)}"] = _lines(extension.lines)
    for alias in domain.aliases:
        files[f"{home}/{alias_file(alias.name)}"] = _lines(alias.lines)
    if domain.catch_all:
        files[f"{home}/{alias_file('default')}"] = _lines(domain.catch_all)
    return files


def alias_file(name: str) -> str:
    """The dot-qmail file of an alias, or of an extension."""
    return dotqmail.file_name(b"-", name.encode()).decode()


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
