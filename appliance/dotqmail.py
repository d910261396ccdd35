"""Names of dot-qmail files, and what their lines mean.  Pure; local/ runs the lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


def file_name(dash: bytes, ext: bytes) -> bytes:
    """The exact control file's name: the extension in lower case, its dots as colons."""
    return b".qmail" + dash + safe(ext)


def safe(ext: bytes) -> bytes:
    """An extension as it stands in a file name (so that no address names `..`)."""
    return ext.lower().replace(b".", b":")


def search(dash: bytes, ext: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """File names in the order they are tried, each with the DEFAULT it would set (or None).

    An extension with a slash or NUL has only the default files: it must not name a folder.
    """
    name = safe(ext)
    if b"/" not in name and b"\0" not in name:
        yield b".qmail" + dash + name, ext[-7:] if name.endswith(b"default") else None
    for end in range(len(name), -1, -1):
        if (end == 0 or name[end - 1] == 0x2D) and b"/" not in name[:end] and b"\0" not in name[:end]:
            yield b".qmail" + dash + name[:end] + b"default", ext[end:]


class Action(Enum):
    """What an instruction line asks for."""

    MAILDIR = "maildir"
    MBOX = "mbox"
    PROGRAM = "program"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line: an action and its target (a path, a command, an address)."""

    action: Action
    target: bytes


class DotQmailError(ValueError):
    """The file can't be followed; delivery is deferred until somebody mends it."""

    enhanced = "4.2.1"


class ForwardOnlyError(DotQmailError):
    """A line that delivers, in a file that may only forward."""

    enhanced = "4.7.0"


def instructions(text: bytes, *, forward_only: bool = False) -> list[Instruction]:
    """The instructions of a dot-qmail file that is not empty. Raises DotQmailError.

    forward_only: the file's x bit is set, which means what a first line of +list means.
    """
    found: list[Instruction] = []
    for number, raw in enumerate(text.split(b"\n")):
        line = raw.rstrip(b" \t")
        if not line:
            if number == 0:
                raise DotQmailError("the first line is empty")
            continue
        kind = line[:1]
        if kind == b"#":
            continue
        if kind == b"+":
            forward_only = forward_only or line == b"+list"
        elif kind == b"|":
            found.append(_unless(forward_only, Action.PROGRAM, line[1:]))
        elif kind in b"./":
            action = Action.MAILDIR if line.endswith(b"/") else Action.MBOX
            found.append(_unless(forward_only, action, line))
        else:
            found.append(Instruction(Action.FORWARD, line[1:] if kind == b"&" else line))
    return found


def _unless(forward_only: bool, action: Action, target: bytes) -> Instruction:
    if forward_only:
        raise ForwardOnlyError(f"{action.value} line in a file that may only forward (x bit or +list)")
    return Instruction(action, target)
