"""A queue that keeps messages in memory: the real protocol on a real socket, for tests of programs that submit."""

import contextlib
import os
import socket
import threading

from appliance import door, envelope, netstring
from appliance.intake import FRAME
from appliance.state import State


class FakeQueue:
    """Answers each message at the intake door with `answer`; `messages` has what it took.

    answer: b"K" to accept, b"Zwhy" or b"Dwhy" to refuse, None to hang up instead of answering.
    """

    def __init__(self, state: State) -> None:
        self.messages: list[tuple[bytes, tuple[bytes, ...], bytes]] = []
        self.answer: bytes | None = b"K"
        self.room: int | None = None  # bytes of new mail that it has room for; None: it does not say
        self.dropped = 0  # large messages whose connection ended early
        self._state = state
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        path = self._state.door("intake")
        path.unlink(missing_ok=True)
        self._guard = door.Guard(self._state, "intake")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread(self._accept, self._listener)

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            os.unlink(self._state.door("intake"))
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads = []

    @property
    def connections(self) -> int:
        return len(self._connections)

    def _thread(self, target, *args) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._thread(self._serve, listener.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        with connection, contextlib.suppress(OSError):
            decoder = netstring.Decoder(FRAME)
            frames = self._frames(connection, decoder)
            self._guard.role(next(frames, b""))
            for frame in frames:
                if frame[:1] == b"L":
                    chunks = []
                    for chunk in frames:
                        if not chunk:
                            break
                        chunks.append(chunk)
                    else:
                        self.dropped += 1
                        break
                    self._answer(connection, frame[1:], b"".join(chunks))
                elif frame != b"S":
                    self._answer(connection, frame, None)
                elif self.room is not None:
                    connection.sendall(netstring.encode(b"S%d" % self.room))
        self._connections.discard(connection)

    def _frames(self, connection: socket.socket, decoder: netstring.Decoder):
        while data := connection.recv(1 << 16):
            yield from decoder.feed(data)

    def _answer(self, connection: socket.socket, frame: bytes, content: bytes | None) -> None:
        parsed, end = envelope.decode(frame)
        if self.answer is None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            return
        answer = self.answer
        if answer == b"K":
            self.messages.append((parsed.sender, parsed.recipients, frame[end:] if content is None else content))
            answer = b"Kmessage%d" % len(self.messages)
        connection.sendall(netstring.encode(answer))
