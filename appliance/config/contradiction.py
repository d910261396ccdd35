"""What is raw and leads elsewhere than the keys beside it, or to nobody: valid, for the raw wins, and worth a warning.  Pure."""

from collections.abc import Callable, Iterator

from appliance.config import raw
from appliance.config.compile import compile_files, own_control
from appliance.config.control_files import ALSO_KEY
from appliance.config.directory import forward, line_lists
from appliance.config.model import Configuration
from appliance.config.problem import Finding, Path, spell
from appliance.config.tables import Tables, Way

_ROUTING = {"locals", "virtualdomains", "percenthack", "rcpthosts"}


def contradictions(configuration: Configuration, written: Callable[[Path], bool]) -> Iterator[Finding]:
    """What a raw control file says otherwise.  written: whether the YAML itself has a key."""
    given = dict(configuration.control)
    own = own_control(configuration)
    for name, lines in given.items():
        key = ALSO_KEY.get(name)
        if key and written(key) and own[name] != "".join(f"{line}\n" for line in lines).encode():
            what = own[name].decode().strip() or "nothing"
            text = f"found {', '.join(lines) or 'nothing'}, yet {spell(key)} makes it {', '.join(what.split())}; the control file wins"
            yield Finding(("control", name), text)
    if not given.keys() & _ROUTING and not configuration.users.homes:
        return
    tables = Tables(compile_files(configuration))
    yield from _dangling(configuration, tables)
    if not given.keys() & _ROUTING:
        return
    for domain in configuration.domains:
        names = [box.name for box in domain.mailboxes] + [alias.name for alias in domain.aliases]
        ways = ((name, tables.way(f"{name}@{domain.name}")) for name in names or ["anybody"])
        astray = [(name, way) for name, way in ways if not _arrives(domain.name, name, way)]
        if astray:
            yield _astray(domain.name, *astray[0], len(astray), given)
        elif not tables.rcpthosts.accept(f"x@{domain.name}".encode()):
            yield Finding(
                ("control", "rcpthosts"), f"found no entry for {domain.name}: its mail is refused from outside; add it"
            )
    yield from _others(configuration, tables, given)


def _arrives(domain: str, name: str, way: Way) -> bool:
    return way.local and way.address == f"{domain}-{name}@{domain}".encode()


def _astray(domain: str, name: str, way: Way, count: int, given: dict[str, tuple[str, ...]]) -> Finding:
    """The finding about a domain whose names (or some of them) get no mail."""
    address = f"{name}@{domain}"
    to = f"to the local user {way.address.decode().rpartition('@')[0]}" if way.local else "to another host"
    if "locals" in given and domain in raw.entries(given["locals"]):
        text = f"found {domain}: mail for {address} goes {to} then, not to its mailbox or alias; remove it"
        return Finding(("control", "locals"), text)
    others = f" and {count - 1} more" if count > 1 else ""
    text = f"mail for {address}{others} goes {to}, not to its mailbox or alias; add {domain}:{domain}"
    return Finding(("control", "virtualdomains" if "virtualdomains" in given else "percenthack"), text)


def _others(configuration: Configuration, tables: Tables, given: dict[str, tuple[str, ...]]) -> Iterator[Finding]:
    """What raw files name themselves: the host, and domains whose mail nobody takes."""
    host, domains = configuration.hostname, {domain.name for domain in configuration.domains}
    if "locals" in given and host not in domains and not tables.way(f"postmaster@{host}").local:
        yield Finding(
            ("control", "locals"),
            f"found no {host}, the hostname: mail for its postmaster goes to another host; add it",
        )
    if "rcpthosts" not in given and not any("@" in key for key in raw.led(given.get("virtualdomains", ()))):
        return
    named = [entry for entry in raw.entries(given.get("locals", ())) if "." in entry]
    for name in (*named, *raw.led(given.get("virtualdomains", ()))):
        domain = name.rpartition("@")[2]
        probe = f"x{domain}" if domain[:1] == "." else domain
        if domain and domain not in domains and not tables.rcpthosts.accept(f"x@{probe}".encode()):
            file = "locals" if name in named else "virtualdomains"
            yield Finding(
                ("control", file), f"found {name}, yet rcpthosts has no {domain}: its mail is refused from outside"
            )


def _dangling(configuration: Configuration, tables: Tables) -> Iterator[Finding]:
    """Forwards of users in qmail's form that lead to nobody: qmail lets them be, and bounces their mail."""
    for path, lines in line_lists(configuration):
        for number, line in enumerate(lines):
            if path[0] == "users" and (address := forward(line)) and tables.way(address).nobody:
                yield Finding((*path, number), f"found {address}, whom nobody here is: mail for it bounces")
