"""How commands queue a message: by the program $QMAILQUEUE names, else by the queue's intake door.

The role token of `inject` proves that the caller runs as the appliance's own user: where qmail has a setuid
program, Paperpath has a file that only its user can read.
"""

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from appliance import door, enqueue, envelope, pipe
from appliance.errors import MailError, Permanent, Temporary
from appliance.state import State

ROLE = "inject"
CUSTOM = 82  # exit status of a $QMAILQUEUE program that has written its own text to descriptor 6
_TEXT = 255  # bytes of that text

# what the exit statuses of qmail-queue mean to who started it (contracts: qmail-queue); 11 to 40 besides are D
_DENIED = {
    11: ("5.1.3", "an address is too long"),
    115: ("5.1.3", "an address is too long"),
    31: ("5.3.0", "the queue refuses this message"),
}
_DELAYED = {
    51: "out of memory",
    52: "time-out while reading the message",
    53: "the disk is full or can't be written",
    54: "the message could not be read to its end",
    55: "its configuration can't be read",
    56: "there is no network",
    61: "it can't enter its home",
    62: "it can't enter the queue",
    63: "it can't write the queue",
    64: "it can't write the queue",
    65: "it can't write the queue",
    66: "it can't write the queue",
    71: "the queue puts this message off",
    72: "connecting to the mail server timed out",
    73: "the mail server refuses connections",
    74: "the connection to the mail server broke",
    81: "internal bug",
    91: "the envelope is malformed",
    120: "it can't be started",
}


class Letter(NamedTuple):
    """A message to be queued; `chunks` is its content, from the first byte to the last."""

    sender: bytes
    recipients: tuple[bytes, ...]
    chunks: Iterable[bytes]


def queue(state: State, letter: Letter, environ: Mapping[bytes, bytes]) -> str:
    """Queue a message; its id (with $QMAILQUEUE: that program's process id).

    Raises Temporary, Permanent, and what the chunks raise; then nothing is queued.
    """
    for address in (letter.sender, *letter.recipients):
        if len(address) > envelope.ADDRESS_LIMIT:
            raise Permanent(553, "5.1.3", f"an address is longer than {envelope.ADDRESS_LIMIT} bytes")
        if b"\0" in address:
            raise Permanent(553, "5.1.3", "an address may not contain NUL")
    program = environ.get(b"QMAILQUEUE")
    if program:
        return _by_program(state, program, letter)
    size = sum(map(len, letter.recipients)) + 2 * len(letter.recipients)
    if size > enqueue.ENVELOPE - 2 * envelope.ADDRESS_LIMIT:
        raise Permanent(554, "5.5.3", f"too many recipients: {size} bytes of addresses")
    return enqueue.submit_blocking(state, hello(state), letter.sender, letter.recipients, letter.chunks)


def hello(state: State) -> bytes:
    """The first frame at the intake door. Raises Temporary: nothing runs here, or it is not ours."""
    try:
        return door.hello(ROLE, door.read_token(state, ROLE))
    except FileNotFoundError as error:
        raise enqueue.accepted_later(f"no queue runs in {state.root}") from error
    except OSError as error:
        raise enqueue.accepted_later(f"{error.filename}: {error.strerror}; only Paperpath's user may queue") from error


def _by_program(state: State, program: bytes, letter: Letter) -> str:
    """By a program in qmail-queue's place: a bare path, no arguments, no search by PATH (trap 36)."""
    content, content_in = os.pipe()
    addresses, addresses_in = os.pipe()
    told_out, told = os.pipe()
    child = pipe.start([program], {0: content, 1: addresses, 6: told}, str(state.root), (61, 120))
    for fd in (content, addresses, told):
        os.close(fd)
    try:
        whole = pipe.feed(content_in, letter.chunks)
    except BaseException:
        os.close(addresses_in)  # no envelope: nothing is queued
        os.close(told_out)
        pipe.wait(child)
        raise
    whole = pipe.feed(addresses_in, [envelope.encode(letter.sender, letter.recipients)]) and whole
    text = _told(told_out)
    outcome = verdict(pipe.wait(child), text, whole=whole)
    if outcome is not None:
        raise outcome
    return str(child)


def _told(fd: int) -> bytes:
    """What the program writes to descriptor 6, up to its end or _TEXT bytes."""
    text = b""
    while len(text) < _TEXT and (piece := os.read(fd, _TEXT - len(text))):
        text += piece
    os.close(fd)
    return text


def verdict(status: int | None, text: bytes, *, whole: bool) -> MailError | None:
    """What an exit status of qmail-queue means; None: queued.

    text: what it wrote to descriptor 6; whole: whether it read all that was written to it.
    """
    if status is None:
        return Temporary(451, "4.3.0", "the queueing program was killed")
    if status == 0:
        return None if whole else Temporary(451, "4.3.0", "the queueing program did not read the whole message")
    if status == CUSTOM and len(text) > 2:
        said = " ".join(text[1:].decode("ascii", "replace").split())
        return Permanent(554, "5.3.0", said) if text[:1] == b"D" else Temporary(451, "4.3.0", said)
    if status in _DENIED:
        return Permanent(554, *_DENIED[status])
    if 11 <= status <= 40:
        return Permanent(554, *_DENIED[31])
    why = _DELAYED.get(status, "it failed")
    return Temporary(451, "4.3.0", f"cannot queue the message now: the queueing program says: {why}", f"exit {status}")
