"""Which virtual domains can be keys of `domains`, and what stands there.  Pure.

That is one whose whole `prefix-…` belongs to one wildcard of users/assign, so that each of its addresses is a
dot-qmail file; whose files only forward, or whose home is its own; and whose programs would see no other
environment than before.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance import dotqmail, users
from appliance.config import values
from appliance.config.qmail.lines import Lines
from appliance.config.qmail.root import show
from appliance.config.qmail.tree import Tree


@dataclass(slots=True)
class Carried:
    """A domain as the YAML has it.

    entry  the line of users/assign that only it needs, and is left out
    moved  its home on the old machine, if its mail goes to a home of its own
    """

    aliases: dict[str, list[str]] = field(default_factory=dict)
    mailboxes: dict[str, dict[str, object]] = field(default_factory=dict)
    catch_all: list[str] = field(default_factory=list)
    entry: bytes | None = None
    moved: bytes | None = None

    def tree(self) -> dict[str, object]:
        """As plain values."""
        lists, aliases = _lists(self.aliases)
        catch_all = self.catch_all[0] if len(self.catch_all) == 1 else self.catch_all
        found = {"mailboxes": self.mailboxes, "aliases": aliases, "lists": lists, "catch_all": catch_all}
        return {key: value for key, value in found.items() if value}


def _lists(aliases: dict[str, list[str]]) -> tuple[dict[str, object], dict[str, list[str]]]:
    """The aliases that are a mailing list with its owner, as `lists` has them; and the others."""
    lists: dict[str, object] = {}
    rest = dict(aliases)
    for name, members in aliases.items():
        owner, each = aliases.get(f"{name}-owner"), aliases.get(f"{name}-owner-default")
        if name in rest and owner and len(owner) == 1 and not values.is_line(owner[0]) and each in (None, owner):
            lists[name] = {"members": members, "owner": owner[0]} | ({"verp": True} if each else {})
            for part in (name, f"{name}-owner", f"{name}-owner-default"):
                rest.pop(part, None)
    return lists, rest


class Domains:
    """The virtual domains of a host: `prefixes` by key, in small letters."""

    def __init__(self, tree: Tree, prefixes: dict[str, str], local: set[str], default: list[str]) -> None:
        self._tree = tree
        self._prefixes = prefixes
        self._local = local
        self._default = default
        self._users = users.Users(users.build(b"\n".join((*tree.assign, b"."))))
        self._keys = {line.split(b":")[0].lower(): line for line in reversed(tree.assign)}
        self._names = sorted({key[1:] for key in self._keys})
        self._files_of = {home: sorted(files) for home, files in tree.files.items()}
        self._singles = {key.rpartition("@")[2] for key in prefixes if "@" in key}
        self._homes = Counter(line.split(b":")[4] for line in tree.assign)
        for key, prefix in prefixes.items():  # a second domain in a home is one user more of it
            if prefix and (user := self._users.find(prefix.encode() + b"-")) is not None:
                self._homes[user.home] += bool(key)

    def carry(self, key: str, lines: Lines) -> Carried | None:
        """The domain's entry, or None: it stays as qmail has it."""
        prefix = self._prefixes[key].encode()
        try:
            name = values.mail_domain(key)
        except ValueError:
            return None
        if name in self._local or key in self._singles:
            return None
        inside = prefix.lower() + b"-"
        if any(entry != inside for entry in _beginning(self._names, inside)) or b"=" + inside in self._keys:
            return None  # some of its addresses are somebody else's
        user = self._users.find(inside)
        if user is None or user.dash != b"-":
            return None
        found = self._files(user, lines)
        if found is None:
            return None
        return self._own(key, prefix, user, found)

    def _files(self, user: users.User, lines: Lines) -> dict[str, list[str]] | None:
        """The lines by what stands between the domain's part of the file name and its end; "default" for the rest."""
        beginning = dotqmail.file_name(user.dash, user.ext)
        files = self._tree.files[user.home]
        found: dict[str, list[str]] = {}
        for file in _beginning(self._files_of[user.home], beginning):
            if file != beginning:
                found[show(file[len(beginning) :]).replace(":", ".")] = self._lines(user.home, file, lines)
        if "default" not in found:  # a shorter one catches what is left
            for file, _ in dotqmail.search(user.dash, user.ext):
                if file in files and file.endswith(b"default") and file != beginning:
                    found["default"] = self._lines(user.home, file, lines)
                    break
        names = set(found) - {"default"}
        try:
            fitting = {name for name in names if values.local_name(name) == name}
        except ValueError:
            return None
        return found if fitting == names else None

    def _lines(self, home: bytes, file: bytes, lines: Lines) -> list[str]:
        text, forward_only = self._tree.files[home][file]
        return lines.of(text, home, show(home + b"/" + file), forward_only=forward_only) or self._default

    def _own(self, key: str, prefix: bytes, user: users.User, found: dict[str, list[str]]) -> Carried | None:
        """The entry, if nobody can see a difference."""
        same = prefix.lower() == key.encode() and not user.ext
        alone = same and self._homes[user.home] == 2  # one line of users/assign and one domain
        delivers = any(line[:1] in "|." for inner in found.values() for line in inner)
        if delivers and not alone:
            return None
        carried = Carried()
        if alone:
            carried.entry, carried.moved = self._keys[b"+" + prefix.lower() + b"-"], user.home if delivers else None
        for name, inner in sorted(found.items()):
            if inner == [f"./{name}/Maildir/"] and name != "default":
                carried.mailboxes[name] = {}
                continue
            plain = [_plain(line, key) for line in inner]
            if name == "default":
                carried.catch_all = plain
            else:
                carried.aliases[name] = plain
        return carried


def _beginning(ordered: list[bytes], prefix: bytes) -> Iterator[bytes]:
    """Those of an ordered list that begin so."""
    for number in range(bisect_left(ordered, prefix), len(ordered)):
        if not ordered[number].startswith(prefix):
            return
        yield ordered[number]


def _plain(line: str, domain: str) -> str:
    """A forward as an alias names it: without the domain if that is its own."""
    address = line.removeprefix("&")
    local = address.removesuffix(f"@{domain}")
    try:
        return line if line[:1] != "&" or values.is_line(local) else values.target(local) and local
    except ValueError:
        return line
