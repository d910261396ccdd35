"""Who a local address leads to, by the same names and order as delivery has.  Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from appliance import dotqmail
from appliance.config.compile import alias_file, own_names
from appliance.config.model import Configuration, Domain, Mailbox
from appliance.config.problem import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """A mailbox, an alias, a catch-all: where the YAML names it, what it is called, where it leads."""

    path: Path
    name: str
    leads_to: tuple[str, ...] = ()
    catch_all: bool = False


class Directory:
    """All names of our domains and of the host itself."""

    def __init__(self, configuration: Configuration) -> None:
        self._domains: dict[str, dict[str, Entry]] = {}
        self._extensions: dict[str, dict[str, Entry]] = {}  # of a mailbox, by the names of its dot-qmail files
        for domain in configuration.domains:
            self._domains.setdefault(domain.name, {}).update(_entries(domain))
            for box in domain.mailboxes:
                if box.extensions:
                    self._extensions[f"{box.name}@{domain.name}"] = _extensions(domain, box)
        if configuration.hostname not in self._domains:
            self._domains[configuration.hostname] = {}
            for name in own_names(configuration):
                entry = Entry(("postmaster",), f"{name}@{configuration.hostname}", (configuration.postmaster,))
                self._domains[configuration.hostname][alias_file(name)] = entry

    @property
    def entries(self) -> list[Entry]:
        """All of them, in the YAML's order."""
        groups = (*self._domains.values(), *self._extensions.values())
        return [entry for entries in groups for entry in entries.values()]

    def ours(self, address: str) -> bool:
        """Mail for this address is delivered here, if anywhere."""
        return address.rpartition("@")[2] in self._domains

    def find(self, address: str) -> Entry | None:
        """The entry that gets the mail of an address of ours."""
        local, _, domain = address.rpartition("@")
        entries = self._domains[domain]
        box = entries.get(local.lower())
        if box is not None:
            return box
        for end in range(len(local) - 1, 0, -1):  # the mailbox with the longest name, and nobody else
            if local[end] == "-" and (extensions := self._extensions.get(f"{local[:end].lower()}@{domain}")):
                return _search(extensions, local[end + 1 :])
        return _search(entries, local)

    def names(self, domain: str) -> list[str]:
        """The names a domain has, for a suggestion."""
        return [entry.name.partition("@")[0] for entry in self._domains[domain].values() if not entry.catch_all]


def _search(entries: dict[str, Entry], ext: str) -> Entry | None:
    for name, _ in dotqmail.search(b"-", ext.encode()):
        if (entry := entries.get(name.decode())) is not None:
            return entry
    return None


def _entries(domain: Domain) -> dict[str, Entry]:
    """By mailbox name, or by the name of the dot-qmail file (which no mailbox can have)."""
    top: Path = ("domains", domain.key)
    found: dict[str, Entry] = {}
    for box in domain.mailboxes:
        path = (*top, "mailboxes", box.key)
        found[box.name] = Entry(path, f"{box.name}@{domain.name}", forwards(box.deliver))
    for alias in domain.aliases:
        path = (*top, *alias.place)
        found[alias_file(alias.name)] = Entry(path, f"{alias.name}@{domain.name}", forwards(alias.lines))
    if domain.catch_all:
        path = (*top, "catch_all")
        to = forwards(domain.catch_all)
        found[alias_file("default")] = Entry(path, f"catch_all of {domain.name}", to, catch_all=True)
    return found


def _extensions(domain: Domain, box: Mailbox) -> dict[str, Entry]:
    top: Path = ("domains", domain.key, "mailboxes", box.key, "extensions")
    return {
        alias_file(each.name): Entry((*top, each.key), f"{box.name}-{each.name}@{domain.name}", forwards(each.lines))
        for each in box.extensions
    }


def line_lists(configuration: Configuration) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """All dot-qmail lines of the YAML, with the path of their list (or of the text that is a list of one)."""
    for domain in configuration.domains:
        top: Path = ("domains", domain.key)
        for box in domain.mailboxes:
            yield (*top, "mailboxes", box.key, "deliver"), box.deliver
            for extension in box.extensions:
                yield (*top, "mailboxes", box.key, "extensions", extension.key), extension.lines
        for alias in domain.aliases:
            yield (*top, *alias.place), alias.lines
        if domain.catch_all:
            yield (*top, "catch_all"), domain.catch_all
    for home, files in configuration.users.homes:
        for name, lines in files:
            yield ("users", "homes", home, name), lines


def forwards(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses that delivery lines forward to."""
    return tuple(found for line in lines if (found := forward(line)))


def forward(line: str) -> str | None:
    """The address that a delivery line forwards to, its domain in lower case."""
    if line[:1] in ".|/#+":
        return None
    local, _, domain = line.rstrip().removeprefix("&").rpartition("@")
    return f"{local}@{domain.lower()}"
