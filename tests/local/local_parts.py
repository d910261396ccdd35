"""A state folder with a generation, and a queue that speaks the lease and intake protocols over real sockets."""

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

from appliance import door, intake, lease, message_id, netstring, users
from appliance.lease import Delivery, Report
from appliance.state import State

ASSIGN = b"""=example.org-alice:alice:1:1:mail/example.org/alice:::
=example.org-bob:bob:1:1:mail/example.org/bob:::
+example.org-:alias:1:1:mail/example.org:-::
.
"""


def make_state(root: Path, files: dict[str, bytes] | None = None, name: str = "g1", assign: bytes = ASSIGN) -> State:
    """A state folder whose active generation holds these files besides the usual ones."""
    state = State(root)
    generation = state.generations / name
    usual = {
        "control/me": b"mx.example.org\n",
        "control/locals": b"mx.example.org\n",
        "control/virtualdomains": b"example.org:example.org\n",
        "control/defaultdelivery": b"./Maildir/\n",
        "users/assign": assign,
        "users/cdb": users.build(assign),
    }
    for path, data in (usual | (files or {})).items():
        (generation / path).parent.mkdir(parents=True, exist_ok=True)
        (generation / path).write_bytes(data)
    state.mail.mkdir(exist_ok=True)
    state.run.mkdir(exist_ok=True)
    state.generation.unlink(missing_ok=True)
    state.generation.symlink_to(f"{name}")
    if not state.tokens.exists():
        door.make_tokens(state)
    return state


class StandIn:
    """The queue's two doors: gives out deliveries as credit allows, collects reports and forwards."""

    def __init__(self, state: State, answers: list[bytes] | None = None) -> None:
        self.state = state
        self.reports: dict[int, list[Report]] = {}
        self.forwards: list[bytes] = []
        self.large: list[list[bytes]] = []
        self.bodies: dict[int, Path] = {}
        self.answers = answers  # of the intake door; then K
        self.credit = 0
        self.batches: list[int] = []  # reports in each read
        self._pending: list[Delivery] = []
        self._worker: socket.socket | None = None
        self._open: list[socket.socket] = []
        self._changed = threading.Condition()
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._next = message_id.following(0, time.time())
        for name, serve in (("lease", self._lease), ("intake", self._intake)):
            path = state.door(name)
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
            listener.listen()
            self._listeners.append(listener)
            self._thread(self._accept, listener, serve, door.Guard(state, name))

    def _thread(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket, serve: object, guard: door.Guard) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._thread(self._serve, connection, serve, guard)

    def _serve(self, connection: socket.socket, serve: object, guard: door.Guard) -> None:
        decoder, first = netstring.Decoder(lease.FRAME), True
        try:
            while data := connection.recv(1 << 18):
                frames = decoder.feed(data)
                if first and frames:
                    guard.role(frames.pop(0))
                    first = False
                serve(connection, frames)
        except (OSError, ValueError):
            pass
        finally:
            with self._changed:
                if self._worker is connection:
                    self._worker, self.credit = None, 0
                self._changed.notify_all()
            connection.close()

    def _lease(self, connection: socket.socket, frames: list[bytes]) -> None:
        with self._changed:
            self.batches.append(sum(frame[:1] == b"R" for frame in frames))
            for frame in frames:
                if frame[:1] == b"B":
                    self._send_body(connection, int(frame[1:]))
                elif frame[:1] == b"W":
                    self._worker = connection
                    self.credit += int(frame[1:])
                else:
                    number, reports = lease.decode_report(frame)
                    self.reports[number] = reports
            self._hand_out()
            self._changed.notify_all()

    def _send_body(self, connection: socket.socket, message: int) -> None:
        path = self.bodies.get(message)
        if path is None:
            connection.sendall(b"Z")
            return
        fd = os.open(path, os.O_RDONLY)
        socket.send_fds(connection, [b"K"], [fd])
        os.close(fd)

    def _hand_out(self) -> None:
        if self._worker is None or not self.credit or not self._pending:
            return
        now, self._pending = self._pending[: self.credit], self._pending[self.credit :]
        self.credit -= len(now)
        self._worker.sendall(b"".join(map(lease.encode_delivery, now)))

    def _intake(self, connection: socket.socket, frames: list[bytes]) -> None:
        for frame in frames:
            if self.large and self.large[-1][-1] != b"":
                self.large[-1].append(frame)
                if frame:
                    continue
            elif frame[:1] == b"L":
                self.large.append([frame])
                continue
            else:
                self.forwards.append(frame)
            count = len(self.forwards) + len(self.large)
            answer = self.answers.pop(0) if self.answers else b"Knew%d" % count
            connection.sendall(netstring.encode(answer))

    def deliver(self, *deliveries: Delivery, timeout: float = 60.0) -> list[list[Report]]:
        """Give out deliveries and wait for their reports."""
        self.hand(*deliveries)
        return [self.wait(delivery.id, timeout) for delivery in deliveries]

    def hand(self, *deliveries: Delivery) -> None:
        with self._changed:
            self._pending.extend(deliveries)
            self._hand_out()

    def wait(self, number: int, timeout: float = 60.0) -> list[Report]:
        with self._changed:
            assert self._changed.wait_for(lambda: number in self.reports, timeout), f"no report of {number}"
            return self.reports[number]

    def until(self, condition: object, timeout: float = 60.0) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout), "it did not happen"

    def message(
        self, content: bytes, *recipients: bytes, sender: bytes = b"sender@elsewhere.example", attempt: int = 1
    ) -> Delivery:
        """A delivery of a new message; large content lies in a file, as in the queue."""
        self._next += 1
        number = self._next
        inline: bytes | None = content
        if len(content) > intake.INLINE:
            self.bodies[number] = self.state.root / f"body{number}"
            self.bodies[number].write_bytes(content)
            inline = None
        return Delivery(number, number, attempt, b"", sender, recipients, len(content), inline)

    def close(self) -> None:
        """As if the queue program were killed."""
        while self._listeners:
            listener = self._listeners.pop()
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


class Local:
    """The local program in a process of its own, its log in a file."""

    def __init__(self, state: State) -> None:
        self.log = state.root / "local.log"
        self.log.touch()  # who reads it at once finds it
        self.status: int | None = None
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(fd, 1)
                from appliance.local.main import main

                status = main(state)
            finally:
                os._exit(status)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.status is None:
            os.kill(self.pid, number)
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
        return self.status


def files(folder: Path) -> list[bytes]:
    """The contents of the files in a folder, sorted."""
    return sorted(path.read_bytes() for path in folder.iterdir()) if folder.exists() else []
