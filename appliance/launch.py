"""How `local` has a program line of a dot-qmail file started: what it asks the launcher, and what it is told.

A connection of its own for each program.  After the hello one frame, home NUL command NUL and NAME=value NUL
for each variable of the environment, and with it the descriptor that will be the program's stdin.  The answer is
one frame, a letter and a detail NUL the beginning of what the program wrote:

    E<status>    it ended by itself
    S<signal>    it was killed by a signal
    L<sentence>  it was killed because it went beyond a limit
    Z<sentence>  it could not be started

Whoever closes the connection before the answer has the program killed with everything it started.
"""

import socket
from collections.abc import Sequence
from typing import NamedTuple

from appliance import netstring
from appliance.state import State

OUTPUT = 10_000  # bytes of a program's output that are kept, as qmail-send keeps of a report
FRAME = 4 * 1024 * 1024  # a line of the largest dot-qmail file


class Request(NamedTuple):
    """A program to be started.

    home         absolute path: its working folder, and all it may write to
    command      for /bin/sh -c
    environment  NAME=value
    """

    home: bytes
    command: bytes
    environment: tuple[bytes, ...]


class Outcome(NamedTuple):
    """What became of a program: a letter of the table above, its detail, its output."""

    letter: bytes
    detail: bytes
    output: bytes


def encode_request(request: Request) -> bytes:
    """The frame. Raises ValueError if something holds NUL."""
    fields = (request.home, request.command, *request.environment)
    if any(b"\0" in field for field in fields):
        raise ValueError("a program's command and environment can't hold NUL")
    return netstring.encode(b"".join(field + b"\0" for field in fields))


def decode_request(payload: bytes) -> Request:
    """The request in a frame. Raises ValueError."""
    home, command, *environment = payload.split(b"\0")
    if not environment or environment.pop() or not home.startswith(b"/"):
        raise ValueError("home NUL command NUL NAME=value NUL ... expected")
    if any(b"=" not in variable[1:] for variable in environment):
        raise ValueError("NAME=value expected")
    return Request(home, command, tuple(environment))


def encode_outcome(outcome: Outcome) -> bytes:
    """The frame of the answer."""
    return netstring.encode(outcome.letter + outcome.detail.replace(b"\0", b"?") + b"\0" + outcome.output)


def decode_outcome(payload: bytes) -> Outcome:
    """The answer in a frame. Raises ValueError."""
    detail, nul, output = payload[1:].partition(b"\0")
    if not nul or payload[:1] not in (b"E", b"S", b"L", b"Z"):
        raise ValueError("E, S, L or Z expected")
    return Outcome(payload[:1], detail, output)


def connect(state: State) -> socket.socket:
    """A connection for one program; shut it down from another thread to end the program. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(state.door("launch")))
    except OSError:
        connection.close()
        raise
    return connection


def run(connection: socket.socket, hello: bytes, request: Request, stdin: int) -> Outcome:
    """Have a program started and wait for its end. Blocks as long as it runs. Raises OSError, ValueError."""
    data = hello + encode_request(request)
    sent = socket.send_fds(connection, [data], [stdin])
    connection.sendall(data[sent:])
    decoder = netstring.Decoder(FRAME)
    while answer := connection.recv(65536):
        for frame in decoder.feed(answer):
            return decode_outcome(frame)
    raise ConnectionError("the launcher closed the connection")


def receive(connection: socket.socket) -> tuple[list[bytes], int]:
    """The hello and the request's frame, and the descriptor that came with them; the caller closes it.

    Raises OSError, ValueError.
    """
    decoder = netstring.Decoder(FRAME)
    frames: list[bytes] = []
    data, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
    if len(descriptors) != 1:
        raise ValueError("a descriptor expected")
    while data:
        frames += decoder.feed(data)
        if len(frames) >= 2:
            return frames, descriptors[0]
        data = connection.recv(65536)
    raise ConnectionError("the request is not whole")


def environment(pairs: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """NAME=value of each pair."""
    return tuple(name + b"=" + value for name, value in pairs)
