"""`qmail-qmqpc`: qmail-queue's interface for a host without a queue; the message goes to a host of control/qmqpservers by QMQP.

The first server that takes the connection decides, as in qmail: after that a message may be there already.
A large message waits in an unnamed file until its length is known.
"""

import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from appliance import command, endpoint, netstring
from appliance.control import Control
from appliance.envelope import Envelope
from appliance.inject import qmail_queue
from appliance.inject.qmail_queue import NO_MEMORY, QUEUED, REFUSED, UNREADABLE, Stop

NAME = "qmail-qmqpc"
PORT = 628
CONNECT, TALK = 10, 60  # seconds
LATER, NO_CONFIGURATION, TIMED_OUT, NOT_REACHED, BROKEN = 71, 55, 72, 73, 74
_IN_MEMORY = 1 << 20


def main() -> int:
    """Hand the message over; qmail-queue's exit statuses, and those of the network."""
    try:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as message:
            size = _spool(command.read(0), message)
            letter = qmail_queue.read_envelope(command.read(1))
            return _hand_over(_connected(), message, size, letter)
    except Stop as stop:
        status, why = stop.status, str(stop)
    except MemoryError:
        status, why = NO_MEMORY, "out of memory"
    command.say(NAME, why)
    return status


def _spool(pieces: Iterator[bytes], message: IO[bytes]) -> int:
    size = 0
    try:
        for piece in pieces:
            message.write(piece)
            size += len(piece)
    except OSError as error:
        raise Stop(UNREADABLE, f"cannot read the message: {error.strerror}") from error
    message.seek(0)
    return size


def _connected() -> socket.socket:
    """A connection to the first server that takes one. Raises Stop."""
    status, why = NO_CONFIGURATION, "control/qmqpservers names no server"
    try:
        lines = Control(command.state()).current().lines("qmqpservers") or []
    except OSError as error:
        raise Stop(NO_CONFIGURATION, f"cannot read the configuration: {error.strerror}") from error
    for line in lines:
        try:
            ip, port = endpoint.parse(line, PORT)
        except ValueError:  # a line that is no address is skipped, as in qmail
            continue
        try:
            connection = socket.create_connection((str(ip), port), CONNECT)
        except TimeoutError:
            status, why = TIMED_OUT, f"{ip} does not answer"
        except OSError as error:
            status, why = NOT_REACHED, f"{ip} can't be reached: {error.strerror}"
        else:
            connection.settimeout(TALK)
            return connection
    raise Stop(status, why)


def _hand_over(connection: socket.socket, message: IO[bytes], size: int, letter: Envelope) -> int:
    addresses = b"".join(map(netstring.encode, (letter.sender, *letter.recipients)))
    inner = b"%d:" % size
    with connection:
        try:
            connection.sendall(b"%d:%b" % (len(inner) + size + 1 + len(addresses), inner))
            while piece := message.read(command.CHUNK):
                connection.sendall(piece)
            connection.sendall(b"," + addresses + b",")
            answer = _answer(connection)
        except OSError as error:
            raise Stop(BROKEN, f"the connection broke: {error}") from error
    kind = answer[:1]
    if kind == b"K":
        return QUEUED
    text = answer[1:].decode("utf-8", "replace")
    raise Stop(REFUSED if kind == b"D" else LATER, text or "the server puts it off")


def _answer(connection: socket.socket) -> bytes:
    decoder = netstring.Decoder(10_000)
    while data := connection.recv(command.CHUNK):
        try:
            for frame in decoder.feed(data):
                return frame
        except netstring.FramingError as error:
            raise Stop(BROKEN, f"the server does not speak QMQP: {error}") from error
    raise Stop(BROKEN, "the server closed the connection without an answer")


if __name__ == "__main__":
    sys.exit(main())
