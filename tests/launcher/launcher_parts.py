"""A state folder with a mailbox, and a launcher that starts programs in it."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from appliance import door, launch
from appliance.launch import Outcome, Request
from appliance.state import State

MESSAGE = b"Subject: test\n\nhello\n"
LIMITS = b"time:30\nmemory:268435456\nprocesses:20\nfile_size:10485760\n"


def make_state(root: Path, limits: bytes = LIMITS, network: bytes | None = None) -> State:
    """A generation with limits, the homes of alice and bob, fresh tokens."""
    state = State(root / "state")
    control = state.generations / "g1" / "control"
    control.mkdir(parents=True)
    (control / "me").write_bytes(b"mx.example.org\n")
    (control / "programlimits").write_bytes(limits)
    if network is not None:
        (control / "programnetwork").write_bytes(network)
    state.generation.symlink_to("g1")
    for name in ("alice", "bob"):
        (state.mail / "example.org" / name).mkdir(parents=True)
    state.run.mkdir()
    state.queue.mkdir()
    door.make_tokens(state)
    return state


class Launcher:
    """The launcher in a process of its own, its log in a file."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.log = state.root / "launcher.log"
        self.hello = door.hello("programs", door.read_token(state, "programs"))
        self.status: int | None = None
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                os.dup2(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                from appliance.launcher.main import main

                status = main(state)
            finally:
                os._exit(status)
        until = time.monotonic() + 10
        while not (self.log.exists() and b'"started"' in self.log.read_bytes()):
            assert time.monotonic() < until
            time.sleep(0.01)

    def home(self, name: str = "alice") -> Path:
        return self.state.mail / "example.org" / name

    def connect(self) -> socket.socket:
        return launch.connect(self.state)

    def request(self, command: str, home: Path | None = None, **environment: str) -> Request:
        variables = tuple(f"{name}={value}".encode() for name, value in environment.items())
        return Request(os.fsencode(home or self.home()), command.encode(), (b"USER=alice", *variables))

    def run(self, command: str, home: Path | None = None, message: bytes = MESSAGE, **environment: str) -> Outcome:
        """Start a program with a message and wait for what becomes of it."""
        with self.connect() as connection:
            connection.settimeout(60)
            fd = memory(message)
            try:
                return launch.run(connection, self.hello, self.request(command, home, **environment), fd)
            finally:
                os.close(fd)

    def begin(self, command: str) -> socket.socket:
        """Start a program without waiting; closing the connection ends it."""
        connection = self.connect()
        fd = memory(MESSAGE)
        socket.send_fds(connection, [self.hello + launch.encode_request(self.request(command))], [fd])
        os.close(fd)
        return connection

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.status is None:
            os.kill(self.pid, number)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def memory(content: bytes) -> int:
    """A message as a descriptor, read to its end as one that was used before."""
    fd = os.memfd_create("message")
    os.write(fd, content)
    return fd


def running(mark: str) -> list[int]:
    """The processes whose command line holds a mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
