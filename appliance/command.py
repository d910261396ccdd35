"""What commands have in common that people and scripts start: options, exit statuses, where the state folder is."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from appliance.state import State

PERMANENT, TEMPORARY = 100, 111  # exit statuses of all qmail commands
CHUNK = 64 * 1024


def state() -> State:
    """The state folder: $PAPERPATH_STATE, else /var/lib/paperpath."""
    return State(Path(os.path.abspath(os.environ.get("PAPERPATH_STATE") or "/var/lib/paperpath")))


def say(program: str, text: str) -> None:
    """A line on stderr, as qmail's commands write it."""
    if sys.stderr is not None:  # it is closed, and print would take stdout instead
        print(f"{program}: fatal: {text}", file=sys.stderr, flush=True)  # noqa: T201  # commands talk to their user


def die(status: int, program: str, text: str) -> NoReturn:
    """Say why, and end."""
    say(program, text)
    raise SystemExit(status)


def interruptible() -> None:
    """Ctrl-C ends a command by the signal, as it ends one that is not written in Python."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def beside(name: str) -> str:
    """Another command of Paperpath: it lies in the folder of the one that runs; else found by PATH."""
    path = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), name)
    return path if os.access(path, os.X_OK) else name


class UsageError(ValueError):
    """An option that there is not, or without its value."""


def options(words: list[bytes], letters: bytes) -> tuple[list[tuple[str, bytes]], list[bytes]]:
    """Options by letter, with values, and the arguments that follow. Raises UsageError.

    letters: as getopt(3) has them, a colon after each that takes a value; the first argument ends the options.
    """
    found: list[tuple[str, bytes]] = []
    rest = list(words)
    while rest and rest[0][:1] == b"-" and rest[0] != b"-":
        word = rest.pop(0)
        if word == b"--":
            break
        while word := word[1:]:
            letter = word[:1]
            if letter == b":" or letter not in letters:
                raise UsageError(f"there is no option -{letter.decode('ascii', 'replace')}")
            if letters[letters.index(letter) + 1 :][:1] != b":":
                found.append((letter.decode(), b""))
                continue
            if len(word) == 1 and not rest:
                raise UsageError(f"option -{letter.decode()} needs a value")
            found.append((letter.decode(), word[1:] or rest.pop(0)))
            break
    return found, rest


def read(fd: int = 0) -> Iterator[bytes]:
    """What a descriptor gives, in pieces. Raises OSError."""
    while piece := os.read(fd, CHUNK):
        yield piece
