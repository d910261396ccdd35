"""The command `paperpath`: a table of commands, each a module of this folder, imported when used."""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

USAGE = 2  # exit status of a mistake on the command line

# name, what it does: in the order in which one needs them
COMMANDS = (
    ("check", "is this mail.yaml right, and what does it mean?"),
    ("compile", "write the control files that a mail.yaml stands for"),
    ("import", "the mail.yaml that says what a qmail host's files say"),
    ("run", "run the whole appliance in the foreground"),
    ("health", "is everything that should run there and working?"),
    ("sandbox", "who may touch what, as this machine enforces it?"),
    ("password", "the hash of a password, for mail.yaml"),
    ("queue", "what waits in the queue, and why?"),
    ("route", "what would happen to mail for an address?"),
    ("version", "the version of Paperpath and of what it is built on"),
)

PAGE = """\
paperpath - a mail transfer agent of small programs, configured by one YAML file

usage: paperpath COMMAND [options]

commands:
{commands}

To begin:
    paperpath check mail.yaml
    paperpath run --config mail.yaml --state ./state
    paperpath queue list --state ./state

`paperpath help COMMAND` tells about one of them. Options that many of them have:
    --config FILE   the YAML file (default: /etc/paperpath/mail.yaml)
    --state DIR     the state folder (default: $PAPERPATH_STATE, or /var/lib/paperpath)
    --json          an answer for programs, where there is one

Exit status: 0 well, 1 not, 2 a mistake on the command line or in the YAML file.
"""


class _Parser(argparse.ArgumentParser):
    """Usage errors that say where the help is."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}\n{self.prog} --help tells more", file=sys.stderr)
        sys.exit(USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(page(), end="", file=sys.stderr)
        return USAGE
    if words[0] in {"-h", "--help"} or words == ["help"]:
        print(page(), end="")
        return 0
    if words[0] in {"-V", "--version"}:
        words[0] = "version"
    if words[0] == "help":
        words = [words[1], "--help"]
    name = words[0]
    if name not in dict(COMMANDS):
        print(f"paperpath: there is no command {name!r}{nearest(name)}\npaperpath --help lists them", file=sys.stderr)
        return USAGE
    return _run(name, words[1:])


def page() -> str:
    """The help page."""
    width = max(len(name) for name, _ in COMMANDS)
    return PAGE.format(commands="\n".join(f"    {name:{width}}  {text}" for name, text in COMMANDS))


def nearest(name: str) -> str:
    """`; did you mean ...?` if a command has a similar name."""
    close = difflib.get_close_matches(name, dict(COMMANDS), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _run(name: str, words: list[str]) -> int:
    command = importlib.import_module(f"appliance.cli.{name}")
    parser = _Parser(prog=f"paperpath {name}", description=command.HELP)
    command.arguments(parser)
    try:
        status: int = command.run(parser.parse_args(words))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as a shell reports it
    return status


if __name__ == "__main__":
    sys.exit(main())
