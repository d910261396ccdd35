"""Rules about names: they are unique, they exist, they lead somewhere, and every domain has a postmaster.  Pure."""

from collections.abc import Iterable, Iterator

from appliance import dotqmail
from appliance.config.compile import compile_files
from appliance.config.directory import Directory, Entry, forward, line_lists
from appliance.config.model import Alias, Configuration, Domain
from appliance.config.problem import Finding, Path, nearest
from appliance.config.sound import Unsound
from appliance.config.tables import Tables

_HINTS = 20  # the nearest of 20,000 names takes a while to find; who has more mistakes than this has another problem


def unique(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """Names differ in more than upper and lower case; no mailbox is also an alias."""
    domains = [(("domains", domain.key), domain.name) for domain in configuration.domains]
    yield from _twice(domains, "domain")
    for domain in configuration.domains:
        top: Path = ("domains", domain.key)
        boxes = {box.name for box in domain.mailboxes}
        yield from _twice([((*top, "mailboxes", box.key), box.name) for box in domain.mailboxes], "mailbox")
        yield from _twice([((*top, *alias.place[:2]), alias.name) for alias in domain.aliases], "alias")
        for alias in domain.aliases:
            path: Path = (*top, *alias.place[:2])
            if alias.name in boxes:
                deliver = ", ".join(f'"{line}"' for line in _as_deliver(alias, domain))
                text = f"{alias.name} is also a mailbox, which gets the mail; give it `deliver: [{deliver}]` instead"
                yield Finding(path, text, at_key=True)
            if alias.name == "default":
                yield Finding(path, "default is qmail's name for the catch-all; write `catch_all:`", at_key=True)


def _as_deliver(alias: Alias, domain: Domain) -> list[str]:
    own = f"&{alias.name}@{domain.name}"
    return ["./Maildir/", *(line for line in alias.lines if line != own)]


def _twice(named: Iterable[tuple[Path, str]], what: str) -> Iterator[Finding]:
    seen: dict[str, Path] = {}
    for path, name in named:
        if name in seen:
            yield Finding(path, f"the {what} {seen[name][-1]} again: upper and lower case are the same", at_key=True)
        seen.setdefault(name, path)


def apart(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """Domains whose names qmail's joiner can't tell apart.

    users/assign knows u@my.co-op.example as my.co-op.example-u, which is op.example-u@my.co, too.
    """
    names = {domain.name for domain in configuration.domains}
    for domain in configuration.domains:
        parts = domain.name.split("-")
        for end in range(1, len(parts)):
            shorter = "-".join(parts[:end])
            if shorter in names:
                text = f"begins with the domain {shorter} and a hyphen: their users can't be told apart; host one elsewhere"
                yield Finding(("domains", domain.key), text, at_key=True)


def postmasters(configuration: Configuration, unsound: Unsound) -> Iterator[Finding]:
    """RFC 5321 section 4.5.1: every domain takes mail for its postmaster."""
    for domain in configuration.domains:
        names = {box.name for box in domain.mailboxes} | {alias.name for alias in domain.aliases}
        if "postmaster" in names or domain.catch_all or domain.key in unsound.domains:
            continue
        who = domain.mailboxes[0].name if domain.mailboxes else "you@another.example"
        where, line = "this domain", f"aliases: {{postmaster: [{who}]}}"
        if any(alias.place[0] == "aliases" for alias in domain.aliases):
            where, line = "its aliases", f"postmaster: [{who}]"
        yield Finding(
            ("domains", domain.key), f"no postmaster and no catch_all; add to {where} the line `{line}`", at_key=True
        )


def targets(configuration: Configuration, unsound: Unsound) -> Iterator[Finding]:
    """Every address of ours that something leads to exists."""
    directory = Directory(configuration)
    broken = {domain.name for domain in configuration.domains if domain.key in unsound.domains}
    broken |= {key.lower() for key in unsound.domains}
    hints = _HINTS
    tables: Tables | None = None
    for path, address in _leads(configuration):
        host = address.rpartition("@")[2]
        if host in broken or not directory.ours(address):
            continue
        entry = directory.find(address)
        if entry is None and configuration.users.assign:  # a user in qmail's own form
            tables = tables or Tables(compile_files(configuration))
            if not tables.way(address).nobody:
                continue
        if entry is None or entry.catch_all:
            yield Finding(path, _nobody(address, directory.names(host) if hints > 0 else []))
            hints -= 1


def _leads(configuration: Configuration) -> Iterator[tuple[Path, str]]:
    listed: dict[Path, bool] = {("domains", domain.key, "catch_all"): domain.listed for domain in configuration.domains}
    for domain in configuration.domains:
        listed |= {("domains", domain.key, *alias.place): False for alias in domain.aliases if not alias.listed}
    for path, lines in line_lists(configuration):
        for number, line in enumerate(lines):
            if path[0] != "users" and (address := forward(line)):  # theirs are a warning: they are as qmail had them
                yield (*path, number) if listed.get(path, True) else path, address
    first = configuration.domains[0].name if configuration.domains else configuration.hostname
    if configuration.postmaster != f"postmaster@{first}":
        yield ("postmaster",), configuration.postmaster


def _nobody(address: str, names: list[str]) -> str:
    local, _, host = address.rpartition("@")
    meant = nearest(local, names)
    hint = f"did you mean {meant}?" if meant else f"add the mailbox or alias {local}"
    return f"found {address}, which is neither a mailbox nor an alias of {host}; {hint}"


def repeated(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """An alias leads to each target once."""
    for domain in configuration.domains:
        for alias in domain.aliases:
            for number, line in enumerate(alias.lines):
                if line[:1] == "&" and line in alias.lines[:number]:
                    path = ("domains", domain.key, *alias.place, number)
                    yield Finding(path, f"found {line[1:]} a second time; it would get every message twice")


def delivery(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """The lines of a dot-qmail file fit together."""
    for path, lines in line_lists(configuration):
        try:
            dotqmail.instructions("\n".join(lines).encode())
        except dotqmail.DotQmailError:  # each line by itself is valid
            if lines:  # an empty file is one
                text = (
                    "found +list, which allows only forwards from there on, before another line; remove one of the two"
                )
                yield Finding(path, text)


def loops(configuration: Configuration, _: Unsound) -> Iterator[Finding]:
    """No name leads to itself, over however many steps."""
    directory = Directory(configuration)
    done: set[Path] = set()
    for start in directory.entries:
        way: dict[Path, Entry] = {}
        ahead = [(start, 0)]  # depth first, without Python's stack: a chain of aliases may be long
        while ahead:
            entry, depth = ahead.pop()
            while len(way) > depth:
                way.popitem()
            if entry.path in way:
                yield _loop([*way.values()], entry)
            elif entry.path not in done:
                done.add(entry.path)
                way[entry.path] = entry
                ahead += [(each, depth + 1) for each in _next(entry, directory)]


def _loop(way: list[Entry], entry: Entry) -> Finding:
    circle = way[[each.path for each in way].index(entry.path) :]
    names = " → ".join(each.name for each in (*circle, entry))
    return Finding(circle[0].path, f"a loop, {names}; mail would go round for ever: take one step out", at_key=True)


def _next(entry: Entry, directory: Directory) -> list[Entry]:
    found = [directory.find(address) for address in entry.leads_to if directory.ours(address)]
    # only the host's postmaster may rely on a catch-all; from anywhere else it is a missing name, and told as such
    host = entry.path == ("postmaster",)
    return [each for each in reversed(found) if each is not None and (host or not each.catch_all)]
