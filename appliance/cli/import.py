"""`paperpath import qmail`: the YAML that says what a qmail host's files say."""

import argparse
import os
import sys
from pathlib import Path

from appliance.config.qmail.carry import carry
from appliance.config.qmail.root import Root
from appliance.config.qmail.tree import read

HELP = (
    "Print the YAML that says what a qmail host's files say: control/, users/, alias/, and the dot-qmail files of "
    "its users. What it can't say, and what is to be done by hand, is told on stderr."
)
WRONG = 2
_LARGEST = 64 << 20  # bytes of a password file


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=["qmail"], help="what is imported")
    parser.add_argument("folder", metavar="DIR", type=Path, help="qmail's home, such as /var/qmail, or a copy of it")
    parser.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        help="the folder that was / on that machine (default: where DIR ends in var/qmail)",
    )
    parser.add_argument(
        "--passwd", metavar="FILE", type=Path, help="its password file (default: etc/passwd in its root)"
    )
    parser.add_argument(
        "--tcp-rules",
        metavar="FILE",
        type=Path,
        help="tcpserver's rules for SMTP, as text (default: etc/tcp.smtp in its root)",
    )
    parser.add_argument("--any-owner", action="store_true", help="take users whose homes belong to somebody else here")
    parser.add_argument(
        "--default-delivery",
        metavar="LINE",
        action="append",
        help="a dot-qmail line of qmail-start's (default: control/defaultdelivery, else ./Mailbox)",
    )


def run(args: argparse.Namespace) -> int:
    """0 if there is a YAML, 2 if there is no qmail host."""
    folder: Path = args.folder.resolve()
    machine = args.root.resolve() if args.root else _machine(folder)
    if not folder.is_relative_to(machine):
        print(f"paperpath import: {folder} is not below {machine}", file=sys.stderr)
        return WRONG
    root = Root(machine)
    home = b"/" + os.fsencode(folder.relative_to(machine))
    try:
        passwd = args.passwd.read_bytes() if args.passwd else _of(root, b"/etc/passwd")
        rules = args.tcp_rules.read_bytes() if args.tcp_rules else _of(root, b"/etc/tcp.smtp")
    except OSError as error:
        print(f"paperpath import: {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG
    tree = read(root, home.rstrip(b"/"), passwd, any_owner=args.any_owner)
    tree.rules = rules
    if "me" not in tree.control:
        print(f"paperpath import: {folder} is no qmail host: control/me is missing", file=sys.stderr)
        return WRONG
    default = args.default_delivery
    if default is None and "defaultdelivery" in tree.control:
        default = tree.control["defaultdelivery"].decode("utf-8", "replace").split("\n")
    text = carry(tree, [line for line in default or ["./Mailbox"] if line.strip()])
    print(f"# what {args.folder} says, by `paperpath import qmail`; what it could not say was told on stderr")
    print(text, end="")
    print(*tree.notes, sep="\n", end="\n" if tree.notes else "", file=sys.stderr)
    return 0


def _of(root: Root, path: bytes) -> bytes | None:
    found = root.read(path, _LARGEST)
    return None if found is None else found[0]


def _machine(folder: Path) -> Path:
    """What was / there."""
    return folder.parents[1] if folder.parts[-2:] == ("var", "qmail") else folder
