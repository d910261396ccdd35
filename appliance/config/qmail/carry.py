"""A qmail host as the values of a YAML: keys of ours where they say it, raw control files and users where not.  Pure.

What is raw is found by comparing: the keys are compiled, and a control file that comes out otherwise than it
is on the host is given as it is.
"""

from typing import Any

from appliance.config import pipeline, raw, values
from appliance.config.compile import own_control
from appliance.config.control_files import KNOWN
from appliance.config.homes import dot_qmail_name
from appliance.config.qmail import settings, tcprules
from appliance.config.qmail.domains import Carried, Domains
from appliance.config.qmail.emit import yaml
from appliance.config.qmail.lines import Lines
from appliance.config.qmail.root import show
from appliance.config.qmail.tree import Tree


def carry(tree: Tree, default: list[str]) -> str:
    """The YAML; tree.notes gets what it does not say.  default: the default delivery's lines."""
    host = Host(tree, default)
    refused: set[str] = set()
    while True:
        text = yaml(host.values(refused))
        try:
            pipeline.parse(text.encode(), "mail.yaml")
        except pipeline.ConfigError as error:
            # the checks are stricter than qmail: what they refuse stays as it was
            again = {domain for domain in host.carried for line in error.problems if f": domains.{domain}" in line}
            if again <= refused:
                tree.notes += [f"to be put right by hand: {problem}" for problem in error.problems]
                return text
            refused |= again
        else:
            host.tell(refused)
            return text


class Host:
    """The values of one host; what was left out is told when all is settled."""

    def __init__(self, tree: Tree, default: list[str]) -> None:
        self._tree = tree
        self._default = default
        self._me = settings.line(tree, "me") or "unknown.invalid"
        self._locals = settings.entries(tree, "locals") if "locals" in tree.control else [self._me]
        self._virtual = settings.mapping(tree, "virtualdomains")
        self._notes: list[str] = []
        self.carried: dict[str, Carried] = {}

    def values(self, refused: set[str]) -> dict[str, Any]:
        """All of the YAML, without `refused` among the domains."""
        self._notes = []
        lines = Lines(settings.line(self._tree, "envnoathost") or self._me, self._notes.append)
        local = {name.lower() for name in self._locals}
        domains = Domains(self._tree, self._virtual, local, self._default)
        self.carried = {}
        for key in [key for key, prefix in self._virtual.items() if prefix and key not in refused]:
            told: list[str] = []
            if found := domains.carry(key, Lines(lines.host, told.append)):
                self.carried[key] = found
                self._notes += told
        tree: dict[str, Any] = {"version": 1, "hostname": settings.hostname(self._me, self._notes)}
        tree["domains"] = {key: found.tree() for key, found in self.carried.items()}
        users = self._users(lines)
        if users["assign"]:
            tree["users"] = users
        tree |= settings.keys(self._tree, self._notes)
        if self._tree.rules is not None:
            tree["relay"] = {"allow_from": tcprules.networks(self._tree.rules, self._notes)}
        tree["control"] = self._control(tree)
        return {key: value for key, value in tree.items() if value != {} or key == "domains"}

    def _users(self, lines: Lines) -> dict[str, Any]:
        dropped = {found.entry for found in self.carried.values()}
        kept = [line for line in self._tree.assign if line not in dropped]
        homes: dict[str, dict[str, list[str]]] = {}
        assign: list[str] = []
        for line in kept:
            fields = line.split(b":")
            old, new = fields[4], place(fields[4])
            fields[4] = new.encode()
            try:
                assign.append(values.control_line(b":".join(fields).decode()))
            except ValueError:
                self._notes.append(f"users/assign: left out, it is not printable: {show(line)}")
                continue
            if new not in homes:
                self._notes.append(f"{show(old)}: move this home to {new} in the state folder")
                homes[new] = self._home(old, lines)
        return {"assign": assign, "homes": {home: files for home, files in homes.items() if files}}

    def _home(self, old: bytes, lines: Lines) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for file, (text, forward_only) in self._tree.files.get(old, {}).items():
            where = show(old + b"/" + file)
            try:
                name = dot_qmail_name(file.decode())
            except ValueError as error:
                self._notes.append(f"{where}: left out: {error}")
            else:
                found[name] = lines.of(text, old, where, forward_only=forward_only)
        return found

    def _control(self, tree: dict[str, Any]) -> dict[str, Any]:
        """The raw control files: those without a key, then those that the keys compile to otherwise."""
        control = settings.raw(self._tree, self._notes)
        if self._default != ["./Maildir/"]:
            control["defaultdelivery"] = self._default
        own = own_control(pipeline.unchecked(yaml({**tree, "control": {}}).encode()))
        if sorted(map(str.lower, self._locals)) != raw.entries(own["locals"].decode().split("\n")):
            control["locals"] = settings.fitting("locals", self._locals, self._notes)
        if set(self._virtual) != set(self.carried):
            prefixes = {key: key if key in self.carried else prefix for key, prefix in self._virtual.items()}
            pairs = [f"{key}:{prefix}" for key, prefix in prefixes.items()]
            control["virtualdomains"] = settings.fitting("virtualdomains", pairs, self._notes)
        if "rcpthosts" in self._tree.control:
            routing = [(name, tuple(control[name])) for name in ("locals", "virtualdomains") if name in control]
            compiled = raw.entries(raw.over(own, routing)["rcpthosts"].decode().split("\n"))
            listed = settings.entries(self._tree, "rcpthosts")
            if set(map(str.lower, listed)) != set(compiled):
                control["rcpthosts"] = settings.fitting("rcpthosts", listed, self._notes)
        for name, default in (("doublebounceto", "postmaster"), ("doublebouncehost", self._me)):
            value = settings.line(self._tree, name) if name in self._tree.control else default
            if own[name].decode().strip() != value and (fits := settings.fitting(name, [value], self._notes)):
                control[name] = fits[0]
        return {name: control[name] for name in sorted(control) if name in KNOWN}

    def tell(self, refused: set[str]) -> None:
        """Everything that was left out or needs a hand."""
        notes = self._tree.notes
        notes += list(dict.fromkeys(self._notes))
        for key, found in self.carried.items():
            if found.moved is not None:
                notes.append(f"{show(found.moved)}: move this home to mail/{key} in the state folder")
        notes += [
            f"{key}: kept in qmail's form, for `domains` would refuse it (paperpath check tells why)"
            for key in sorted(refused)
        ]
        if "rcpthosts" not in self._tree.control:
            notes.append("control/rcpthosts: there is none, so qmail relayed for everybody; this does not")
        if any(
            line[:1] == b"|"
            for files in self._tree.files.values()
            for text, _ in files.values()
            for line in text.split(b"\n")
        ):
            notes.append(
                "programs.network: commands of | lines may not connect to other hosts; name the homes whose may"
            )
        if self._tree.rules is None:
            text = "who may relay was said by tcpserver's rules (RELAYCLIENT): give them as --tcp-rules, or name those networks"
            notes.append(f"relay.allow_from: {text}")


def place(home: bytes) -> str:
    """Where a home of the old machine lies in the state folder."""
    parts = [part for part in home.decode("utf-8", "replace").split("/") if part not in ("", ".", "..")]
    return "/".join(("mail", *parts))
