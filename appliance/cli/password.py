"""`paperpath password`: the hash of a password, for mail.yaml or a secret file."""

import argparse
import getpass
import sys

from appliance import password

HELP = (
    "Print the hash of a password (argon2id), for domains.….mailboxes.….password in quotes, or for a file that "
    "{file: …} names. Asks for it twice; from a pipe it reads one line."
)
NOT = 1  # exit status: there is no hash


def arguments(_: argparse.ArgumentParser) -> None:
    """None: a password on a command line is seen by everybody on the machine."""


def run(_: argparse.Namespace) -> int:
    try:
        print(password.make(_asked() if sys.stdin.isatty() else _piped()))
    except (ValueError, EOFError) as problem:
        print(f"paperpath password: {problem or 'nothing was typed'}", file=sys.stderr)
        return NOT
    return 0


def _asked() -> bytes:
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise ValueError("these were two different ones; nothing was printed")
    return first.encode()


def _piped() -> bytes:
    line = sys.stdin.buffer.readline(password.LONGEST + 3)
    return line.removesuffix(b"\n").removesuffix(b"\r")
