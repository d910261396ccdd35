"""What tests of commands share: a state folder, and a queue that speaks the intake door's language and keeps what comes."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from appliance import door, enqueue, envelope, netstring
from appliance.state import State

BIN = Path(sys.executable).parent
Command = Callable[..., subprocess.CompletedProcess[bytes]]
CONTROL = {"me": "mx.example.org", "defaultdomain": "dom", "defaulthost": "host", "plusdomain": "plus"}


class Message(NamedTuple):
    """What a command handed in; large: in pieces, on a connection of its own."""

    sender: bytes
    recipients: list[bytes]
    content: bytes
    large: bool


def make_state(folder: Path, **control: str) -> State:
    """A state folder with a configuration in force."""
    state = State(folder)
    files = state.generations / "g" / "control"
    files.mkdir(parents=True)
    for name, line in (CONTROL | control).items():
        (files / name).write_text(line + "\n")
    state.generation.symlink_to("g")
    door.make_tokens(state)
    return state


class RecordingQueue:
    """answer: for each message; None drops the connection. deaf: the connection is dropped after so many bytes."""

    def __init__(self, state: State) -> None:
        self.messages: list[Message] = []
        self.answer: bytes | None = b"Kid1"
        self.deaf: int | None = None
        self._guard = door.Guard(state, "intake")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(state.door("intake")))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        decoder, frames, heard = netstring.Decoder(enqueue.FRAME), [], 0
        while data := connection.recv(1 << 20):
            heard += len(data)
            if self.deaf is not None and heard > self.deaf:
                return
            frames += decoder.feed(data)
            message = self._message(frames)
            if message is not None:
                self.messages.append(message)
                if self.answer is not None:
                    connection.sendall(netstring.encode(self.answer))
                return

    def _message(self, frames: list[bytes]) -> Message | None:
        """The message, if it is complete."""
        if len(frames) < 2:
            return None
        assert self._guard.role(frames[0]) == "inject"
        first, *rest = frames[1:]
        if first[:1] != b"L":
            letter, start = envelope.decode(first)
            return Message(letter.sender, list(letter.recipients), first[start:], large=False)
        if b"" not in rest:
            return None
        end = rest.index(b"")
        if first == b"L" and len(rest) == end + 1:
            return None
        letter, _ = envelope.decode(first[1:] if first != b"L" else rest[end + 1])
        return Message(letter.sender, list(letter.recipients), b"".join(rest[:end]), large=True)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
