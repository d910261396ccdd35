"""`bouncesaying`, `condredirect`, `except`: what becomes of a message depends on what a program says about it.

The program gets the message on stdin and says yes by 0, no by anything else, and `not now` by 111.
"""

import sys

from appliance import command
from appliance.filters import SKIP, rewind, send_on, variable, verdict, words


def bouncesaying() -> int:
    """`bouncesaying TEXT [PROGRAM ...]`: if the program says yes, or there is none, the message bounces with a text."""
    arguments = words(sys.argv)
    if not arguments:
        command.die(command.PERMANENT, "bouncesaying", "usage: bouncesaying text [program [argument ...]]")
    text, *program = arguments
    status = verdict("bouncesaying", program) if program else 0
    if status:
        return command.TEMPORARY if status == command.TEMPORARY else 0
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.flush()
    return command.PERMANENT


def condredirect() -> int:
    """`condredirect RECIPIENT PROGRAM ...`: if the program says yes, the message goes to the recipient instead."""
    arguments = words(sys.argv)
    if len(arguments) < 2:
        command.die(command.PERMANENT, "condredirect", "usage: condredirect recipient program [argument ...]")
    recipient, *program = arguments
    sender = variable("condredirect", b"SENDER")
    variable("condredirect", b"DTLINE")
    status = verdict("condredirect", program)
    if status:
        return command.TEMPORARY if status == command.TEMPORARY else 0
    rewind("condredirect")
    send_on("condredirect", sender, [recipient])
    return SKIP


def unless() -> int:
    """`except PROGRAM ...`: the opposite of what the program says, for the delivery: yes bounces, no is fine."""
    arguments = words(sys.argv)
    if not arguments:
        command.die(command.PERMANENT, "except", "usage: except program [argument ...]")
    status = verdict("except", arguments)
    return {0: command.PERMANENT, command.TEMPORARY: command.TEMPORARY}.get(status, 0)
