"""A qmail host with a hundred virtual domains, as files; and what the contracts say it does with an address.

The prediction is written from the rules of qmail-send, qmail-lspawn, qmail-getpw and qmail-local, with none of
the programs' own code.
"""

import os
from pathlib import Path

UID = os.getuid() or 1000  # owner of every home
REMOTE = "list.example.net"

CONTROL = {
    "me": "mx.host.example\n",
    "locals": "mx.host.example\nlocalhost\nlocal.example\n",
    "smtproutes": ":127.0.0.1:{port}\nexc.example:\n",
    "badmailfrom": "@spam.example\n",
    "databytes": "1000000\n",
    "queuelifetime": "86400\n",
    "concurrencyremote": "50\n",
    "defaultdelivery": "./Maildir/\n",
    "percenthack": "percent.example\n",
    "somepatch": "on\n",
}
VIRTUAL = ["user@single.example:joe-single", "percent.example:joe-percent", ".wild.example:sue-w", "out.wild.example:"]
RCPTHOSTS = ["mx.host.example", "local.example", "single.example", "percent.example", ".wild.example", "Backup.example"]
ASSIGN = ["=info:info:{uid}:100:/home/lists:-:info:", "+news-:lists:{uid}:100:/home/lists:-:news-:"]
USERS = ["joe", "sue", "lists", "shared", "alias"]
FILES = {
    "/home/joe/.qmail": "./Maildir/\n",
    "/home/joe/.qmail-single-user": "./Single/\n",
    "/home/joe/.qmail-percent-a": "joe\n",
    "/home/joe/.qmail-default": "&sue@local.example\n",
    "/home/sue/.qmail": "# only mine\n/home/sue/Maildir/\n",
    "/home/sue/.qmail-w-default": "./W/Maildir/\n",
    "/home/sue/.qmail-w-info": "&joe\n&x@{remote}\n",
    "/home/sue/.qmail-a:b": "./Dots/\n",
    "/home/sue/.qmail-nothing": "# throws it away\n",
    "/home/sue/.qmail-plain": "",
    "/home/lists/.qmail-info": "&sue@local.example\n",
    "/home/lists/.qmail-news-default": "&a@{remote}\n&sue@local.example\n",
    "/home/shared/.qmail-info": "./Shared/\n&joe@local.example\n",
    "/home/shared/.qmail-postmaster": "&joe@local.example\n",
    "/var/qmail/alias/.qmail-postmaster": "&joe@local.example\n",
    "/var/qmail/alias/.qmail-root": "&joe@local.example\n",
    "/var/qmail/alias/.qmail-odd-default": "./Odd/\n",
}


def domains():
    """A hundred, by what they are: lines of virtualdomains and users/assign, files."""
    for number in range(100):
        name = f"d{number}.example"
        home = f"/home/vmail/{name}"
        own = f"+{name}-:vmail:{{uid}}:100:{home}:-::"
        match number % 5:
            case 0:  # a home of its own, with mailboxes
                files = {"alice": "./alice/Maildir/\n", "postmaster": f"&alice@{name}\n", "team": "alice\n"}
                files |= {"team": f"&alice@{name}\n&joe@local.example\n", "default": "./catch/Maildir/\n"}
                yield f"{name}:{name}", own, {f"{home}/.qmail-{each}": text for each, text in files.items()}
            case 1:  # forwards of joe's
                files = {"postmaster": "joe\n", "info": f"&x@{REMOTE}\n", "a:b": "&sue@local.example\n"}
                yield f"{name}:joe-d{number}", "", {f"/home/joe/.qmail-d{number}-{e}": t for e, t in files.items()}
            case 2:  # a list with an owner, every second one with VERP
                files = {"news": f"&a@{REMOTE}\n&b@{REMOTE}\n", "news-owner": "&sue@local.example\n"}
                files |= {"postmaster": "&sue@local.example\n"} | (
                    {"news-owner-default": "&sue@local.example\n"} if number % 2 else {}
                )
                yield f"{name}:lists-d{number}", "", {f"/home/lists/.qmail-d{number}-{e}": t for e, t in files.items()}
            case 3:  # programs, in a home of its own
                files = {"robot": "|cat >robot.$EXT\n", "postmaster": "&joe@local.example\n", "default": "|exit 100\n"}
                yield f"{name}:{name}", own, {f"{home}/.qmail-{each}": text for each, text in files.items()}
            case 4:  # many domains of one user
                yield f"{name}:shared", "", {}


def build(root, port=9):
    """Write the host below `root`; qmail's home there."""
    home = root / "var/qmail"
    virtual, assign, files = list(VIRTUAL), list(ASSIGN), dict(FILES)
    for line, entry, more in domains():
        virtual.append(line)
        assign += [entry] * bool(entry)
        files |= more
    control = {name: text.format(port=port) for name, text in CONTROL.items()}
    control["virtualdomains"] = "".join(f"{line}\n" for line in virtual)
    control["rcpthosts"] = "".join(f"{line}\n" for line in [*RCPTHOSTS, *(line.split(":")[0] for line in virtual[4:])])
    for name, text in control.items():
        write(home / "control" / name, text)
    write(home / "users/assign", "".join(f"{line}\n" for line in [*assign, "."]).format(uid=UID))
    for path, text in files.items():
        write(root / path.lstrip("/"), text.format(remote=REMOTE))
    homes = {user: "/var/qmail/alias" if user == "alias" else f"/home/{user}" for user in USERS}
    lines = [f"{user}:x:{UID}:100:{user}:{homes[user]}:/bin/sh" for user in USERS]
    write(root / "etc/passwd", "\n".join(["root:x:0:0:root:/root:/bin/sh", *lines, ""]))
    for path in root.rglob("*"):
        os.chown(path, UID, -1, follow_symlinks=False)
    return home


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Prediction:
    """What the contracts say the host at `root` does."""

    def __init__(self, root: Path) -> None:
        self._root = root
        control = root / "var/qmail/control"
        self._me = control.joinpath("me").read_text().strip()
        self._locals = {line.lower() for line in control.joinpath("locals").read_text().split("\n") if line}
        pairs = [line.split(":", 1) for line in control.joinpath("virtualdomains").read_text().split("\n") if line]
        self._virtual = {key.lower(): prefix for key, prefix in pairs}
        self._percent = set(control.joinpath("percenthack").read_text().split())
        self._assign = root.joinpath("var/qmail/users/assign").read_text().split("\n")[:-2]
        passwd = [line.split(":") for line in root.joinpath("etc/passwd").read_text().split("\n") if line]
        self._homes = {user: home for user, _, uid, _, _, home, _ in passwd if uid != "0"}

    def of(self, address):
        """`nobody`, ("remote", address), or the actions: maildir, forward, program."""
        if "@" not in address:
            address += f"@{self._me}"
        local, _, domain = address.rpartition("@")
        while domain.lower() in self._percent and "%" in local:
            local, _, domain = local.rpartition("%")
            address = f"{local}@{domain}"
        domain = domain.lower()
        if domain not in self._locals:
            labels = domain.split(".")
            suffixes = ["." + ".".join(labels[n:]) for n in range(1, len(labels))]
            keys = [f"{local.lower()}@{domain}", domain, *suffixes, ""]
            prefix = next((self._virtual[key] for key in keys if key in self._virtual), "")
            if not prefix:
                return "remote", address
            local = f"{prefix}-{local}"
        return self._delivery(*self._user(local))

    def _user(self, local):
        """Home, dash, ext: users/assign, else the password file, else alias."""
        folded = local.lower()
        best = None
        for line in self._assign:
            key, _, _, _, home, dash, ext, *_ = line.split(":")
            if key[0] == "=" and key[1:].lower() == folded:
                return home, dash, ext
            if key[0] == "+" and folded.startswith(key[1:].lower()) and (best is None or len(key) > best[0]):
                best = len(key), home, dash, ext + local[len(key) - 1 :]
        if best:
            return best[1:]
        for end in [len(local), *(n for n in range(len(local) - 1, -1, -1) if local[n] == "-")]:
            if local[:end].lower() in self._homes and end < 32:
                return self._homes[local[:end].lower()], "-" if end < len(local) else "", local[end + 1 :]
        return self._homes["alias"], "-", local

    def _delivery(self, home, dash, ext):
        safe = ext.lower().replace(".", ":")
        names = [f".qmail{dash}{safe}"]
        names += [f".qmail{dash}{safe[:n]}default" for n in range(len(safe), -1, -1) if n == 0 or safe[n - 1] == "-"]
        for name in names:
            path = self._root / home.lstrip("/") / name
            if "/" not in name and "\0" not in name and len(name) < 256 and path.is_file():
                return self._actions(home, path.read_text() or "./Maildir/\n")
        return "nobody" if dash else self._actions(home, "./Maildir/\n")

    def _actions(self, home, text):
        found = []
        for line in text.split("\n"):
            if line[:1] in ("", "#", "+"):
                continue
            if line[0] == "|":
                found.append(("program", line[1:]))
            elif line[0] in "./":
                found.append(("maildir", os.path.normpath(os.path.join(home, line))))
            else:
                address = line.removeprefix("&")
                found.append(("forward", address if "@" in address else f"{address}@{self._me}"))
        return found
