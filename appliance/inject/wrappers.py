"""`mailsubj`, `predate`, `datemail`: small commands around qmail-inject and sendmail."""

import os
import sys
import time
from collections.abc import Iterator
from itertools import chain

from appliance import command, pipe
from appliance.inject import qmail_inject
from appliance.message.date import local_date


def mailsubj() -> int:
    """`mailsubj SUBJECT RECIPIENT ...`: stdin, with a subject, to the recipients."""
    words = [os.fsencode(word) for word in sys.argv[1:]]
    if not words:
        command.die(command.PERMANENT, "mailsubj", "usage: mailsubj subject [recipient ...]")
    # a line end in an argument would begin a field of its own, or the body
    subject, *recipients = (b" ".join(word.split(b"\n")) for word in words)
    header = b"Subject: " + subject + b"\nTo: " + b" ".join(recipients) + b"\n\n"
    return qmail_inject.run([], os.environb, chain([header], command.read()))


def predate() -> int:
    """`predate PROGRAM ...`: stdin, with the date in the local zone before it, to a program; its exit status."""
    return _predated("predate", [os.fsencode(word) for word in sys.argv[1:]])


def datemail() -> int:
    """`datemail ...`: sendmail with the date in the local zone."""
    return _predated("datemail", [os.fsencode(command.beside("sendmail")), *map(os.fsencode, sys.argv[1:])])


def _predated(name: str, arguments: list[bytes]) -> int:
    if not arguments:
        command.die(command.PERMANENT, name, f"usage: {name} program [argument ...]")
    try:
        status = pipe.run(arguments, _dated())
    except OSError as error:
        command.die(command.TEMPORARY, name, f"{error}")
    if status is None:
        command.die(command.TEMPORARY, name, "the program was killed")
    return status


def _dated() -> Iterator[bytes]:
    yield b"Date: " + local_date(time.time()) + b"\n"
    yield from command.read()
