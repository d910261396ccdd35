"""`qmail-pw2u`: users/assign, printed, from a password file on stdin.

The helper files users/include, exclude, mailnames, subusers and append are read in $QMAILHOME (a tree such as
/var/qmail), else in the state folder.
"""

import getopt
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.command import PERMANENT, TEMPORARY, die
from appliance.qmail import home

NAME = "qmail-pw2u"
ALIAS = b"alias"
_CAPITAL = re.compile(rb"[A-Z]")
_DIGITS = re.compile(rb"[0-9]+")


class Unfit(Exception):
    """Nothing can be made of this password file; the text says why."""


@dataclass(slots=True)
class Wishes:
    """What the options and helper files ask for.

    need    stop if a home is missing
    look    look at homes at all: skip users whose home is not there or not theirs
    capital take names with capital letters
    joint   the character before an extension, or nothing
    dash    the dash field of entries with extensions
    """

    need: bool = False
    look: bool = True
    capital: bool = False
    joint: bytes = b"-"
    dash: bytes = b"-"
    include: frozenset[bytes] | None = None
    exclude: frozenset[bytes] = frozenset()
    mailnames: dict[bytes, bytes] = field(default_factory=dict)
    subusers: list[bytes] = field(default_factory=list)
    append: bytes = b""


def assign(passwd: Iterable[bytes], wishes: Wishes) -> Iterator[bytes]:
    """The lines. Raises Unfit, OSError."""
    known: dict[bytes, bytes] = {}
    for line in passwd:
        account = _account(line, wishes)
        if account is None:
            continue
        user, entry = account
        known.setdefault(user.lower(), entry)
        if user == ALIAS:
            yield b"+" + entry + wishes.dash + b"::\n"
        for name in wishes.mailnames.get(user.lower(), user).split(b":"):
            if name:
                yield b"=" + name + entry + b"::\n"
                if wishes.joint:
                    yield b"+" + name + wishes.joint + entry + wishes.dash + b"::\n"
    if ALIAS not in known:
        raise Unfit("there is no user alias")
    for line in wishes.subusers:
        sub, *rest = line.split(b":")
        if len(rest) < 3:
            continue
        user, prefix = rest[:2]
        if user.lower() not in known:
            raise Unfit(f"users/subusers names {user.decode(errors='replace')}, who is no user")
        entry = known[user.lower()] + wishes.dash + b":" + prefix
        yield b"=" + sub + entry + b":\n"
        if wishes.joint:
            yield b"+" + sub + wishes.joint + entry + wishes.joint + b":\n"
    yield wishes.append
    yield b".\n"


def _account(line: bytes, wishes: Wishes) -> tuple[bytes, bytes] | None:
    """A user and `:user:uid:gid:home:`, or None for a line that is skipped. Raises Unfit, OSError."""
    fields = line.split(b":")
    if b"\0" in line or len(fields) < 7:
        return None
    user, _, uid, gid, _, folder = fields[:6]
    number = _DIGITS.match(uid)
    if not number or not int(number[0][:18]):
        return None
    if not wishes.capital and _CAPITAL.search(user):
        return None
    if (wishes.include is not None and user.lower() not in wishes.include) or user.lower() in wishes.exclude:
        return None
    if wishes.look:
        try:
            owner = os.stat(folder).st_uid
        except (FileNotFoundError, NotADirectoryError):
            if wishes.need:
                raise Unfit(f"the home {os.fsdecode(folder)} is not there") from None
            return None
        if owner != int(number[0][:18]):
            return None
    return user, b":%b:%b:%b:%b:" % (user, uid, gid, folder)


def wishes(words: list[str], folder: Path) -> Wishes:
    """From the command line and the helper files. Raises GetoptError, OSError."""
    chosen = Wishes()
    for option, value in getopt.getopt(words, "/ohHuUc:C")[0]:
        match option:
            case "-/":
                chosen.dash = b"-/"
            case "-o" | "-h" | "-H":
                chosen.look, chosen.need = option != "-H", option == "-h"
            case "-u" | "-U":
                chosen.capital = option == "-u"
            case _:
                chosen.joint = os.fsencode(value)[:1]
    include = _lines(folder / "include")
    chosen.include = None if include is None else frozenset(name.lower() for name in include)
    chosen.exclude = frozenset(name.lower() for name in _lines(folder / "exclude") or ())
    pairs = (line.partition(b":") for line in _lines(folder / "mailnames") or ())
    chosen.mailnames = {user.lower(): names for user, colon, names in pairs if colon}
    chosen.subusers = (_read(folder / "subusers") or b"").split(b"\n")
    chosen.append = _read(folder / "append") or b""
    return chosen


def _lines(path: Path) -> list[bytes] | None:
    """By the rules of a control file: no blanks at the end, no comments, no empty lines."""
    data = _read(path)
    if data is None:
        return None
    stripped = (line.rstrip(b" \t") for line in data.split(b"\n"))
    return [line for line in stripped if line and line[:1] != b"#"]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def main() -> int:
    """Print it; 0, 100 for an unknown option, 111 if it can't be made."""
    try:
        chosen = wishes(sys.argv[1:], home() / "users")
        sys.stdout.buffer.writelines(assign(sys.stdin.buffer, chosen))
        sys.stdout.flush()
    except getopt.GetoptError as error:
        die(PERMANENT, NAME, str(error))
    except OSError as error:
        die(TEMPORARY, NAME, f"{error.filename or 'cannot read or write'}: {error.strerror}")
    except Unfit as error:
        die(TEMPORARY, NAME, str(error))
    return 0
