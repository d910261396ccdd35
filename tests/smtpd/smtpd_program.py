"""A running smtpd: its own process, a generation made by hand, and a fake queue."""

import re
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from served_program import Program, RawClient, code
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


class Smtpd(Program):
    """The program as its own process; `log` has its lines."""

    name = "smtpd"

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
        self.start()

    def start(self) -> None:
        self.launch(code("smtpd"), self.state.root, self.state.root / "log", self._environment)
        self.port = int(self.wait_for("started")["port"])

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
        status = self.process.wait(60)
        self.queue.stop()
        return status


class Client(RawClient):
    """An SMTP client."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        super().__init__(port, timeout=60, address=address)

    def shut(self) -> None:
        """No more from us; the server may go on talking."""
        with suppress(OSError):  # it may have ended the connection already
            self.socket.shutdown(socket.SHUT_WR)

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
