"""Next hosts with every fault there is: each answers as it likes, and keeps what it has taken and when.

partner.example is moody, refusing.example takes nobody's mail (5xx), silent.example never says a word.
"""

import random
import socket
import struct
import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import BinaryIO

from soak_letters import TOKEN

# moods of a transaction at the partner, and how often each comes; None: all is well
MOODS = {
    None: 70,
    "451 after MAIL": 3,
    "451 after RCPT": 6,
    "421 after RCPT": 2,
    "451 after the dot": 3,
    "554 after the dot": 2,
    "hangs up after MAIL": 2,
    "hangs up in the content": 2,
    "hangs up instead of 250": 3,
    "resets": 2,
    "slow": 4,
    "silent": 1,
}
SLOW, SILENT = 0.5, 8.0  # seconds


class HungUp(Exception):
    """The host ends the connection."""


class NextHost:
    """One of them. mood: of every transaction, "" to draw one each time, None for none."""

    def __init__(self, mood: str | None) -> None:
        self.mood = mood
        self.taken: dict[str, list[tuple[float, bytes]]] = defaultdict(list)  # by token: when, what
        self.unsaid: set[str] = set()  # taken, and the 250 never said: the client has to send them again
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self, content: bytes, *, said: bool) -> None:
        """A message has arrived whole; said: the client will hear so."""
        token = TOKEN.search(content)
        assert token is not None, content[:500]
        name = token[1].decode()
        self.taken[name].append((time.time(), content))
        if not said:
            self.unsaid.add(name)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, HungUp), connection, connection.makefile("rwb") as file:
            connection.settimeout(60)
            if self.mood == "never speaks":
                while connection.recv(1000):
                    pass
                return
            _Dialogue(self, connection, file).run()


class _Dialogue:
    """One connection."""

    def __init__(self, host: NextHost, connection: socket.socket, file: BinaryIO) -> None:
        self._host, self._connection, self._file = host, connection, file
        self._mood: str | None = None  # of this transaction
        self._ready = False  # nothing of it was refused

    def run(self) -> None:
        """To its end. Raises HungUp, OSError."""
        self._say(b"220 next.example")
        while line := self._file.readline():
            verb = line[:4].upper()
            answer = self._answer(verb)
            self._say(answer)
            if verb == b"QUIT" or answer[:3] == b"421":
                raise HungUp

    def _say(self, line: bytes) -> None:
        self._file.write(line + b"\r\n")
        self._file.flush()

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"MAIL":
            drawn = random.choices(list(MOODS), list(MOODS.values()))[0]
            self._mood, self._ready = drawn if self._host.mood == "" else self._host.mood, True
        mood = self._mood or ""
        if mood == f"hangs up after {verb.decode()}":
            raise HungUp
        if mood.endswith(f"after {verb.decode()}"):
            self._ready = False
            return mood[:3].encode() + b" a mood of ours"
        if verb in (b"RCPT", b"DATA") and not self._ready:
            return b"503 5.5.1 after that?"
        if verb == b"DATA":
            return self._content(mood)
        return {b"QUIT": b"221 bye", b"EHLO": b"250-next.example\r\n250-PIPELINING\r\n250 8BITMIME"}.get(
            verb, b"250 ok"
        )

    def _content(self, mood: str) -> bytes:
        """Take a message, or not. Raises HungUp."""
        self._say(b"354 go ahead")
        lines = []
        while (line := self._file.readline()) != b".\r\n":
            if not line or mood == "hangs up in the content":
                raise HungUp
            lines.append(line[1:] if line[:1] == b"." else line)
        if mood == "resets":
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise HungUp
        if mood.endswith("after the dot"):
            return mood[:3].encode() + b" a mood of ours"
        content = b"".join(lines).replace(b"\r\n", b"\n")
        self._host.take(content, said=mood not in ("silent", "hangs up instead of 250"))
        if mood in ("slow", "silent"):
            time.sleep(SLOW if mood == "slow" else SILENT)
        if mood == "hangs up instead of 250":
            raise HungUp
        return b"250 ok"
