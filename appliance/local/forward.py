"""Forwards: what a dot-qmail file sends on enters the queue by the intake door, as anybody's mail does.

The forwards of a batch leave in one write on a connection that is kept; large ones have
a connection each, as `intake` says.
"""

import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance import envelope, intake, netstring
from appliance.errors import MailError, Permanent
from appliance.local.content import Content
from appliance.local.maildir import Attempt
from appliance.state import State


@dataclass(slots=True)
class Forward:
    """A new message to be: `head` and `content` for `recipients`.

    new  its id, once the queue has it; else its attempt has a failure
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    head: bytes
    content: Content
    attempt: Attempt = field(default_factory=Attempt)
    new: str = ""


class Forwarder:
    """The way back into the queue."""

    def __init__(self, state: State, hello: bytes) -> None:
        self._state = state
        self._hello = hello
        self._connection: socket.socket | None = None
        self._decoder = netstring.Decoder(intake.FRAME)

    def send(self, forwards: Sequence[Forward]) -> None:
        """Queue all; afterwards each has its new id, or its attempt a failure."""
        small: list[tuple[Forward, bytes]] = []
        for forward in forwards:
            try:
                if len(forward.head) + forward.content.size > intake.INLINE:
                    forward.new = self._send_large(forward)
                else:
                    content = b"".join(forward.content.chunks(forward.head))
                    small.append((forward, intake.request(forward.sender, forward.recipients, content)))
            except envelope.EnvelopeError as error:
                # only somebody who writes dot-qmail files can name such an address
                forward.attempt.failure = Permanent(553, "5.1.3", f"cannot forward: {error}")
            except (MailError, OSError) as error:
                forward.attempt.failure = error
        if small:
            self._send_small(small)

    def close(self) -> None:
        """Let go of the connection; the next forward makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._decoder = netstring.Decoder(intake.FRAME)

    def _send_large(self, forward: Forward) -> str:
        chunks = forward.content.chunks(forward.head)
        return intake.submit_blocking(self._state, self._hello, forward.sender, forward.recipients, chunks)

    def _send_small(self, requests: list[tuple[Forward, bytes]]) -> None:
        waiting = [forward for forward, _ in requests]
        try:
            connection = self._connected()
            connection.sendall(b"".join([frame for _, frame in requests]))
            while waiting:
                data = connection.recv(intake.CHUNK)
                if not data:
                    raise ConnectionError("the queue closed the connection")
                for answer in self._decoder.feed(data):
                    self._answer(waiting.pop(0), answer)
        except (OSError, netstring.FramingError, IndexError) as error:
            self.close()
            for forward in waiting:
                forward.attempt.failure = intake.accepted_later(error)

    def _answer(self, forward: Forward, answer: bytes) -> None:
        try:
            forward.new = intake.accepted(answer)
        except MailError as error:
            forward.attempt.failure = error

    def _connected(self) -> socket.socket:
        if self._connection is not None and select.select([self._connection], [], [], 0)[0]:
            self.close()  # nothing is asked, so this is the end of a connection to a queue that is gone
        if self._connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(intake.TIMEOUT)
                connection.connect(str(self._state.door("intake")))
                connection.sendall(self._hello)
            except OSError:
                connection.close()
                raise
            self._connection = connection
        return self._connection
