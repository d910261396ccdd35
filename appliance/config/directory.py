"""Who a local address leads to, by the same names and order as delivery has.  Pure."""

from dataclasses import dataclass

from appliance import dotqmail
from appliance.config.compile import alias_file
from appliance.config.model import Configuration, Domain
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
        for domain in configuration.domains:
            self._domains.setdefault(domain.name, {}).update(_entries(domain))
        if configuration.hostname not in self._domains:
            name = f"postmaster@{configuration.hostname}"
            postmaster = Entry(("postmaster",), name, (configuration.postmaster,))
            self._domains[configuration.hostname] = {alias_file("postmaster"): postmaster}

    @property
    def entries(self) -> list[Entry]:
        """All of them, in the YAML's order."""
        return [entry for entries in self._domains.values() for entry in entries.values()]

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
        for name, _ in dotqmail.search(b"-", local.encode()):
            if (entry := entries.get(name.decode())) is not None:
                return entry
        return None

    def names(self, domain: str) -> list[str]:
        """The names a domain has, for a suggestion."""
        return [entry.name.partition("@")[0] for entry in self._domains[domain].values() if not entry.catch_all]


def _entries(domain: Domain) -> dict[str, Entry]:
    """By mailbox name, or by the name of the dot-qmail file (which no mailbox can have)."""
    top: Path = ("domains", domain.key)
    found: dict[str, Entry] = {}
    for box in domain.mailboxes:
        path = (*top, "mailboxes", box.key)
        found[box.name] = Entry(path, f"{box.name}@{domain.name}", forwards(box.deliver))
    for alias in domain.aliases:
        path = (*top, "aliases", alias.key)
        found[alias_file(alias.name)] = Entry(path, f"{alias.name}@{domain.name}", alias.targets)
    if domain.catch_all is not None:
        path = (*top, "catch_all")
        found[alias_file("default")] = Entry(path, f"catch_all of {domain.name}", (domain.catch_all,), catch_all=True)
    return found


def forwards(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses that delivery lines forward to."""
    return tuple(found for line in lines if (found := forward(line)))


def forward(line: str) -> str | None:
    """The address that a delivery line forwards to, its domain in lower case."""
    if line[:1] in ".|/#+":
        return None
    local, _, domain = line.rstrip().removeprefix("&").rpartition("@")
    return f"{local}@{domain.lower()}"
