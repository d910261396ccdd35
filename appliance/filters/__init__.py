"""The programs that people put into dot-qmail lines: forward, bouncesaying, condredirect, except, preline, qreceipt.

They take the message on stdin and what they must know about it from the variables of a delivery (SENDER, NEWSENDER,
DTLINE ...); their exit status is the delivery's: 0 done, 99 done and skip the later lines, 100 never, 111 not now.
"""

import os
from collections.abc import Iterator

from appliance import command, pipe
from appliance.errors import MailError, Permanent
from appliance.injection import Letter, queue

SKIP = 99  # exit status: delivered, and the later lines of the dot-qmail file are not for this message


def words(argv: list[str]) -> list[bytes]:
    """The arguments of a command."""
    return [os.fsencode(word) for word in argv[1:]]


def variable(program: str, name: bytes) -> bytes:
    """A variable that a delivery has; a program that is run without it is used wrongly."""
    value = os.environb.get(name)
    if value is None:
        command.die(command.PERMANENT, program, f"{name.decode()} is not set: this is a program for dot-qmail lines")
    return value


def verdict(program: str, arguments: list[bytes]) -> int:
    """The exit status of a program that judges the message on our stdin; 111 if it was killed or can't be run now."""
    try:
        status = pipe.run(arguments)
    except OSError as error:
        command.die(command.TEMPORARY, program, f"cannot run {os.fsdecode(arguments[0])}: {error.strerror}")
    return command.TEMPORARY if status is None else status


def send_on(program: str, sender: bytes, recipients: list[bytes]) -> None:
    """Queue the message on stdin as a new one, marked with our Delivered-To. Ends the program if that fails."""
    mark = variable(program, b"DTLINE")

    def content() -> Iterator[bytes]:
        yield mark
        yield from command.read()

    try:
        name = queue(command.state(), Letter(sender, tuple(recipients), content()), os.environb)
    except Permanent as error:
        command.die(command.PERMANENT, program, f"{error.text} (#{error.enhanced})")
    except MailError as error:
        command.die(command.TEMPORARY, program, f"{error.text} (#{error.enhanced}): {error.cause}")
    except OSError as error:
        command.die(command.TEMPORARY, program, f"cannot read the message: {error.strerror}")
    print(f"{program}: qp {name}", flush=True)


def rewind(program: str) -> None:
    """Read the message from its beginning again."""
    try:
        os.lseek(0, 0, os.SEEK_SET)
    except OSError as error:
        command.die(command.TEMPORARY, program, f"cannot rewind the message: {error.strerror}")
