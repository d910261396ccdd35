"""A running smtpd: its own process, a generation made by hand, and a fake queue."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest
from smtpd_fake_queue import FakeQueue

from appliance import door, users
from appliance.safeio import replace_link
from appliance.state import State

ASSIGN = (
    b"=example.org-alice:alice:1:1:mail/example.org/alice:::\n"
    b"=example.org-bob@work:bob:1:1:mail/example.org/bob:::\n"
    b"+example.org-:example.org:1:1:mail/example.org:-::\n"
    b"=postmaster:alice:1:1:mail/example.org/alice:::\n"
    b".\n"
)
CONTROL = {
    "me": "mx.example.org\n",
    "locals": "mx.example.org\n",
    "virtualdomains": "example.org:example.org\n",
    "rcpthosts": "example.org\nmx.example.org\nbackup.example\n.backup.example\n",
    "badmailfrom": "@spam.example\nliar@example.net\n",
    "databytes": "100000\n",
    "maxrecipients": "5\n",
    "listen": "smtp:127.0.0.1:0\n",
}


def generation(state: State, name: str, control: dict[str, str | None], assign: bytes = ASSIGN) -> None:
    """Make a generation by hand and activate it."""
    folder = state.generations / name
    (folder / "control").mkdir(parents=True)
    (folder / "users").mkdir()
    for file, text in {**CONTROL, **control}.items():
        if text is not None:
            (folder / "control" / file).write_text(text)
    (folder / "users" / "cdb").write_bytes(users.build(assign))
    home = folder / "mail" / "example.org"
    home.mkdir(parents=True)
    (home / ".qmail-team").write_text("&alice@example.org\n")
    (home / ".qmail-first:last").write_text("&alice@example.org\n")
    replace_link(state.generation, name)


class Smtpd:
    """The program as its own process; `log` has its lines."""

    def __init__(
        self,
        root: Path,
        control: dict[str, str | None],
        room: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._environment = environment
        self.state = State(root)
        self.state.run.mkdir(parents=True)
        door.make_tokens(self.state)
        generation(self.state, "one", control)
        self.queue = FakeQueue(self.state)
        self.queue.room = room
        self.queue.start()
        self._output = root / "log"
        self.start()

    def start(self) -> None:
        code = "import sys, pathlib; from appliance.smtpd.main import main; from appliance.state import State; "
        with open(self._output, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code + "sys.exit(main(State(pathlib.Path(sys.argv[1]))))", self.state.root],
                stdout=output,
                env=self._environment,
            )
        self.port = int(self.wait_for("started")["port"])

    @property
    def log(self) -> list[dict]:
        return [json.loads(line) for line in self._output.read_text().splitlines()]

    def wait_for(self, event: str, count: int = 1, seconds: float = 10.0) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [line for line in self.log if line["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None or found, f"smtpd ended: {self._output.read_text()}"
            time.sleep(0.01)
        raise AssertionError(f"no {event} in {self._output.read_text()}")

    def connect(self, address: str = "127.0.0.1") -> "Client":
        return Client(self.port, address)

    def forget_peak(self) -> int:
        """Resident bytes now; `memory` counts from here."""
        try:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        except PermissionError:
            pytest.skip("only root sees the memory of a program that is locked in")
        return self.memory()

    def memory(self) -> int:
        """Resident bytes at most since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        self.queue.stop()
        return status


class Client:
    """A raw client: what is sent is exactly what is given."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def shut(self) -> None:
        """No more from us; the server may go on talking."""
        self.socket.shutdown(socket.SHUT_WR)

    def line(self) -> bytes:
        """The next line, without CRLF; b"" at the end of the connection."""
        while b"\r\n" not in self._buffer:
            data = self.socket.recv(65536)
            if not data:
                assert not self._buffer
                return b""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def reply(self) -> bytes:
        """The next reply, its last line if it has several."""
        while (line := self.line())[3:4] == b"-":
            pass
        return line

    def say(self, command: bytes) -> bytes:
        self.send(command + b"\r\n")
        return self.reply()

    def begin(self, recipient: bytes = b"alice@example.org") -> None:
        """Everything up to DATA's 354."""
        assert self.reply()[:3] == b"220"
        assert self.say(b"EHLO client.example")[:3] == b"250"
        assert self.say(b"MAIL FROM:<sender@example.net>")[:3] == b"250"
        assert self.say(b"RCPT TO:<%b>" % recipient)[:3] == b"250"
        assert self.say(b"DATA")[:3] == b"354"
