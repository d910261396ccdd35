"""What a qmail host knows: control files, users (of users/assign, then of the password file), their dot-qmail files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance import users
from appliance.config.qmail.root import Root, show

_CONTROL = 64 << 20  # bytes of a control file at most
_ASSIGN = 512 << 20
_DOT_QMAIL = 1 << 20
_LONGEST = 32  # qmail-getpw's user names are shorter
_DIGITS = re.compile(rb"[0-9]{1,9}\Z")


@dataclass(slots=True)
class Tree:
    """A qmail host.

    control  files by name
    assign   lines of users/assign without the dot, those for the password file's users behind them
    files    dot-qmail files by home and name: text, and whether the x bit says that they only forward
    rules    tcpserver's for SMTP, None if there are none
    notes    what can't be carried over, a sentence each
    """

    control: dict[str, bytes] = field(default_factory=dict)
    assign: list[bytes] = field(default_factory=list)
    files: dict[bytes, dict[bytes, tuple[bytes, bool]]] = field(default_factory=dict)
    rules: bytes | None = None
    notes: list[str] = field(default_factory=list)


def read(root: Root, home: bytes, passwd: bytes | None, *, any_owner: bool) -> Tree:
    """The host whose qmail lives in `home`, a path such as /var/qmail of the machine at `root`.

    passwd: its password file's lines; any_owner: homes need not belong to their users.
    """
    tree = Tree(notes=root.notes)
    for name in root.names(home + b"/control"):
        if (found := root.read(home + b"/control/" + name, _CONTROL)) is not None:
            tree.control[show(name)] = found[0]
    _assign(tree, root, home)
    given = _Given(tree.assign)
    for user, line in _accounts(passwd or b"", root, tree.notes, any_owner=any_owner):
        entry = b":%b:%b" % (user, line)
        if user == b"alias":
            tree.assign += [b"+" + entry + b":-::"] * (not given.wildcard(b""))
        if not given.find(user):
            tree.assign.append(b"=" + user + entry + b":::")
        if not given.wildcard(user + b"-"):
            tree.assign.append(b"+" + user + b"-" + entry + b":-::")
    alias = home + b"/alias"
    if root.owner(alias) is not None and not any(line[:2] == b"+:" for line in tree.assign):
        tree.assign.append(b"+:alias:65534:65534:" + alias + b":-::")
    _dot_qmail(tree, root)
    return tree


def _assign(tree: Tree, root: Root, home: bytes) -> None:
    """The lines that qmail-newu would take."""
    found = root.read(home + b"/users/assign", _ASSIGN)
    database = root.read(home + b"/users/cdb", _ASSIGN)
    if found is None:
        if database is not None:
            tree.notes.append("users/cdb: there is no users/assign that it was made from; its users are missing")
        return
    for number, line in enumerate(found[0].split(b"\n"), 1):
        if line[:1] == b".":
            break
        try:
            users.build(line + b"\n.\n")
        except ValueError:
            tree.notes.append(f"users/assign line {number}: left out, qmail-newu would refuse it: {show(line)}")
            continue
        fields = line.split(b":")[:7]
        if fields[5][:1] not in (b"", b"-") or b"/" in fields[5]:
            tree.notes.append(f"users/assign line {number}: left out, its dash is {show(fields[5])}: {show(line)}")
        elif not _DIGITS.match(fields[2]) or not _DIGITS.match(fields[3]) or not int(fields[2]):
            tree.notes.append(f"users/assign line {number}: left out, nothing is delivered as root: {show(line)}")
        else:
            tree.assign.append(b":".join(fields) + b":")
    if database is None:
        tree.notes.append("users/assign: there is no users/cdb, so qmail did not use it; its users are here now")
    elif database[0] != _built(found[0]):
        tree.notes.append("users/assign: users/cdb was made from another one; this one counts here")


def _built(assign: bytes) -> bytes:
    try:
        return users.build(assign)
    except ValueError:
        return b""


class _Given:
    """The assignments that come before qmail-getpw is asked."""

    def __init__(self, lines: list[bytes]) -> None:
        self._all = users.Users(users.build(b"\n".join((*lines, b"."))))
        self._wild = users.Users(users.build(b"\n".join((*(line for line in lines if line[:1] == b"+"), b"."))))

    def find(self, local: bytes) -> bool:
        return self._all.find(local) is not None

    def wildcard(self, local: bytes) -> bool:
        return self._wild.find(local) is not None


def _accounts(passwd: bytes, root: Root, notes: list[str], *, any_owner: bool) -> Iterator[tuple[bytes, bytes]]:
    """Users as qmail-getpw knows them: name, `uid:gid:home`."""
    for line in passwd.split(b"\n"):
        fields = line.split(b":")
        if len(fields) < 7 or b"\0" in line:
            continue
        name, _, uid, gid, _, home = fields[:6]
        if not _DIGITS.match(uid) or not _DIGITS.match(gid) or not int(uid):
            continue
        if not name or name != name.lower() or len(name) >= _LONGEST:
            continue
        owner = root.owner(home)
        if owner is not None and owner != int(uid) and not any_owner:
            notes.append(
                f"user {show(name)}: left out, its home {show(home)} belongs to uid {owner}; --any-owner takes it"
            )
        elif owner is not None:
            yield name, uid + b":" + gid + b":" + home.rstrip(b"/")


def _dot_qmail(tree: Tree, root: Root) -> None:
    for home in dict.fromkeys(line.split(b":")[4] for line in tree.assign):
        files: dict[bytes, tuple[bytes, bool]] = {}
        for name in root.names(home, b".qmail"):
            if (found := root.read(home + b"/" + name, _DOT_QMAIL)) is None:
                continue
            text, mode = found
            if mode & 0o002:
                tree.notes.append(
                    f"{show(home + b'/' + name)}: writable by everybody, so qmail would not have followed it"
                )
            files[name] = text, bool(mode & 0o100)
        if root.owner(home) is None:
            tree.notes.append(f"{show(home)}: this home is not in the copy; its dot-qmail files are missing")
        tree.files[home] = files
