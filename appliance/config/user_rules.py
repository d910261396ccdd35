"""Rules about users in qmail's own form: lines that qmail-newu takes, homes that mail may go to, addresses that are reached.  Pure."""

from collections.abc import Iterator

from appliance.config import homes
from appliance.config.compile import alias_file, compile_files, own_control
from appliance.config.model import Configuration, Domain, Users
from appliance.config.problem import Finding, Path
from appliance.config.sound import Unsound
from appliance.config.tables import Tables

_AT_MOST = 20  # mistakes of one file that are told


def assign(users: Users) -> list[Finding]:
    """What is wrong with the lines of users/assign."""
    found: list[Finding] = []
    for number, line in enumerate(users.assign):
        wrong = _wrong(line)
        if wrong is None:
            continue
        path: Path = ("users", "assign") if users.file else ("users", "assign", number)
        where = f"{users.file} line {number + 1}: " if users.file else ""
        found.append(Finding(path, f"{where}found {line.decode('utf-8', 'replace')!r}; {wrong}"))
        if len(found) == _AT_MOST:
            found.append(Finding(path, "and perhaps more: put these right first"))
            break
    return found


def _wrong(line: bytes) -> str | None:
    key, *fields = line.split(b":")
    if b"\0" in line or not key or len(fields) < 7:
        return "=local:user:uid:gid:home:dash:ext: or +local:… is needed"
    uid, gid, home, dash, ext = fields[1:6]
    if not uid.isdigit() or not int(uid) or not gid.isdigit():
        return "uid and gid are numbers, and nothing is ever delivered as root (uid 0)"
    if b".." in (dash + ext).split(b"/") or dash[:1] not in (b"", b"-"):
        return "the dash is empty or begins with -, and no name holds a folder .."
    try:
        homes.home(home.decode())
    except ValueError as error:
        return str(error)
    return None


def empty(configuration: Configuration, unsound: Unsound) -> Iterator[Finding]:
    """Mail is received for somebody."""
    if not configuration.domains and not unsound.domains and not configuration.users.assign:
        yield Finding(("domains",), "found an empty mapping; at least one entry is needed")


def twice(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """No home of a user is given files that the domains have."""
    own = {f"mail/{domain.name}" for domain in configuration.domains}
    own |= {f"mail/{domain.name}/{box.name}" for domain in configuration.domains for box in domain.mailboxes}
    for home, _files in configuration.users.homes:
        if home in own:
            text = "a domain's own folder; write these lines as its aliases or its mailboxes' extensions"
            yield Finding(("users", "homes", home), text, at_key=True)


def reached(configuration: Configuration, unsound: Unsound) -> Iterator[Finding]:
    """Every mailbox, alias and extension gets the mail of its address; only extensions and users can come before it."""
    extended = any(box.extensions for domain in configuration.domains for box in domain.mailboxes)
    if unsound.domains or not (extended or configuration.users.assign):
        return
    own = own_control(configuration)  # raw control files are judged apart
    tables = Tables(compile_files(configuration) | {f"control/{name}": data for name, data in own.items()})
    for domain in configuration.domains:
        for path, local, file in _addresses(domain):
            way = tables.way(f"{local}@{domain.name}")
            if way.file != file:
                to = way.file or way.default or "nobody"
                text = f"never gets mail: {local}@{domain.name} leads to {to}; rename one of the two"
                yield Finding(path, text, at_key=True)


def _addresses(domain: Domain) -> Iterator[tuple[Path, str, str]]:
    """Each name of a domain: its path, its local part, its dot-qmail file."""
    top: Path = ("domains", domain.key)
    home = f"mail/{domain.name}"
    for box in domain.mailboxes:
        path: Path = (*top, "mailboxes", box.key)
        yield path, box.name, f"{home}/{box.name}/.qmail"
        for each in box.extensions:
            file = f"{home}/{box.name}/{alias_file(each.name)}"
            yield (*path, "extensions", each.key), f"{box.name}-{each.name}", file
    for alias in domain.aliases:
        yield (*top, *alias.place[:2]), alias.name, f"{home}/{alias_file(alias.name)}"
