"""`preline [-frd] PROGRAM ...`: give the message to a program as a mailbox would have it.

Before it go the From line, Return-Path and Delivered-To; -f, -r and -d leave one of them out, -F, -R and -D put it back.
"""

import os
import sys
from itertools import chain

from appliance import command, pipe
from appliance.filters import variable, words

NAME = "preline"
_LINES = (("f", b"UFLINE"), ("r", b"RPLINE"), ("d", b"DTLINE"))


def main() -> int:
    """The program's exit status; 100, 111 if it can't be run or is killed."""
    try:
        chosen, program = command.options(words(sys.argv), b"frdFRD")
    except command.UsageError as error:
        command.die(command.PERMANENT, NAME, str(error))
    if not program:
        command.die(command.PERMANENT, NAME, "usage: preline [-frd] program [argument ...]")
    left_out = {letter.lower(): letter.islower() for letter, _ in chosen}
    lines = [variable(NAME, name) for letter, name in _LINES if not left_out.get(letter)]
    try:
        status = pipe.run(program, chain(lines, command.read()))
    except OSError as error:
        command.die(command.TEMPORARY, NAME, f"cannot run {os.fsdecode(program[0])}: {error.strerror}")
    if status is None:
        command.die(command.TEMPORARY, NAME, "the program was killed")
    return status
