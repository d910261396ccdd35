"""A qmail host's files: a YAML that `paperpath check` takes, unless it says what is to be put right by hand.

The input holds files, each `path LF content`, between NULs; links and folders are not told apart.
"""

from appliance.config import pipeline
from appliance.config.qmail.carry import carry
from appliance.config.qmail.tree import read

WORDS = (
    b"\0/var/qmail/control/",
    b"me\n",
    b"locals\n",
    b"virtualdomains\n",
    b"rcpthosts\n",
    b"smtproutes\n",
    b"\0/var/qmail/users/assign\n",
)
WORDS += (
    b"\0/etc/passwd\n",
    b"\0/home/joe/.qmail-",
    b"joe:x:7:7::/home/joe:/bin/sh\n",
    b"=a:joe:7:7:/home/joe:-:a:\n",
    b"./Maildir/\n",
)
WORDS += (
    b"+a-:joe:7:7:/home/joe:-::\n.\n",
    b"|exit 100\n",
    b"&x@b.example\n",
    b"a.example:joe-a\n",
    b":",
    b"*",
    b"{",
    b"\xff",
    b"#",
    b"@",
    b"..",
)
WORDS += (
    b"databytes\n",
    b"9" * 30,
    b"default\n",
    b'\0/etc/tcp.smtp\n10.:allow,RELAYCLIENT=""\n',
    b"+list\n",
    b"%",
    b"'",
    b"\\",
)


class Root:
    """The files in memory."""

    def __init__(self, data: bytes) -> None:
        self.notes: list[str] = []
        self.files = dict(file.partition(b"\n")[::2] for file in data.split(b"\0"))

    def read(self, path: bytes, limit: int) -> tuple[bytes, int] | None:
        found = self.files.get(path)
        return None if found is None else (found, 0o700 if found[:1] == b"x" else 0o644)

    def names(self, folder: bytes, prefix: bytes = b"") -> list[bytes]:
        inside = [path[len(folder) + 1 :] for path in self.files if path.startswith(folder + b"/" + prefix)]
        return sorted({name for name in inside if name and b"/" not in name})

    def owner(self, path: bytes) -> int | None:
        return 7 if any(each.startswith(path.rstrip(b"/") + b"/") for each in self.files) else None


def target(data: bytes) -> None:
    root = Root(data)
    tree = read(root, b"/var/qmail", root.files.get(b"/etc/passwd"), any_owner=bool(len(data) % 2))
    tree.rules = root.files.get(b"/etc/tcp.smtp")
    text = carry(tree, ["./Mailbox"])
    if not any("put right by hand" in note for note in tree.notes):
        pipeline.compile_files(pipeline.parse(text.encode(), "mail.yaml"))
    assert all(isinstance(note, str) for note in tree.notes)
