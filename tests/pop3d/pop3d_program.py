"""A running pop3d: its own process, the generation of a real YAML, Maildirs that a test fills."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from ports import free_port
from served_program import Program, RawClient, code

from appliance.config import pipeline
from appliance.config.activate import activate
from appliance.state import State

# the hash of "secret", cheap so that tests are quick
HASH = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{}}
  pop3: {{address: 127.0.0.1, port: {port}{pop3}}}
domains:
  example.org:
    mailboxes:
{boxes}      alice: {{password: "{hash}"}}
      bob: {{password: "{hash}"}}
      carol: {{password: {{file: "{secrets}/carol", plain: true}}}}
      dave: {{password: {{file: "{secrets}/dave"}}}}
      erin: {{password: "{hash}", deliver: ["&alice@example.org"]}}
    aliases: {{postmaster: [alice]}}
{more}
"""


class Pop3d(Program):
    """The program as its own process; `log` has its lines.

    patience  seconds before a client is left, in place of minutes
    """

    name = "pop3d"

    def __init__(self, root: Path, *, patience: float | None = None, **more: str) -> None:
        self.state = State(root / "state")
        self.secrets = root / "secrets"
        self.secrets.mkdir(parents=True)
        (self.secrets / "carol").write_text("tanstaaf\n")
        (self.secrets / "dave").write_text(HASH + "\n")
        self.port = free_port()
        self.state.root.mkdir(mode=0o700)
        self.configure(**more)
        hurry = f"from appliance.pop3d import session; session.LOGIN = session.IDLE = {patience}; "
        self._code = code("pop3d", hurry if patience is not None else "")
        self._log = root / "log"
        self.start()

    def configure(self, *, pop3: str = "", boxes: str = "", more: str = "", yaml: str = YAML) -> None:
        """Compile a YAML and bring it into force."""
        text = yaml.format(port=self.port, hash=HASH, secrets=self.secrets, pop3=pop3, boxes=boxes, more=more)
        activate(pipeline.compile_files(pipeline.parse(text.encode(), "mail.yaml")), self.state)

    def start(self) -> None:
        self.launch(self._code, self.state.root, self._log)

    def maildir(self, name: str = "alice") -> Path:
        return self.state.mail / "example.org" / name / "Maildir"

    def fill(self, *messages: bytes, name: str = "alice", **more) -> list[Path]:
        """Files with names as `local` gives them, in this order."""
        return fill(self.maildir(name), *messages, **more)

    def connect(self) -> "Client":
        return Client(self.port)

    def session(self, name: str = "alice") -> "Client":
        """A client that has logged in; a session that was broken off a moment ago may still hold the mailbox."""
        until = time.monotonic() + 60
        client = self.connect()
        while b"[IN-USE]" in (answer := client.log_in(name)) and time.monotonic() < until:
            client.socket.close()
            time.sleep(0.05)
            client = self.connect()
        assert answer[:3] == b"+OK", answer
        return client

    def memory(self) -> int:
        """Proportional bytes: what is shared with other processes counts a share."""
        try:
            text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        except PermissionError:
            pytest.skip("only root sees the memory of a program that is locked in")
        return int(re.search(r"Pss:\s+(\d+)", text)[1]) * 1024

    def peak(self) -> int:
        """Resident bytes at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def fill(maildir: Path, *messages: bytes, place: str = "new", first: int = 1_700_000_000) -> list[Path]:
    """Messages in a Maildir, a second apart."""
    for folder in ("tmp", "new", "cur"):
        (maildir / folder).mkdir(parents=True, exist_ok=True)
    there = sum(len(os.listdir(maildir / folder)) for folder in ("new", "cur"))
    paths = []
    for number, content in enumerate(messages, there):
        suffix = ":2,S" if place == "cur" else ""
        paths.append(maildir / place / f"{first + number}.M{number}P1Q{number}.host{suffix}")
        paths[-1].write_bytes(content)
    return paths


class Client(RawClient):
    """A POP3 client."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        super().__init__(port, timeout=60, address=address)
        self.greeting = self.line()

    def say(self, command: bytes) -> bytes:
        self.send(command + b"\r\n")
        return self.line()

    def lines(self, command: bytes) -> list[bytes]:
        """The lines of an answer that ends in a dot, dots in front removed; the first one is +OK."""
        answer = [self.say(command)]
        assert answer[0][:3] == b"+OK", answer
        while (line := self.line()) != b".":
            answer.append(line.removeprefix(b"."))
        return answer[1:]

    def raw(self, command: bytes) -> bytes:
        """All bytes of an answer that ends in a dot."""
        self.send(command + b"\r\n")
        data, self._buffer = self._buffer, b""
        while not data.endswith(b"\r\n.\r\n"):
            more = self.socket.recv(65536)
            assert more, data
            data += more
        return data

    def log_in(self, name: str = "alice", password: bytes = b"secret") -> bytes:
        assert self.say(b"USER %b@example.org" % name.encode()) == b"+OK"
        return self.say(b"PASS " + password)

    def ended(self) -> bool:
        """The server closes the connection, now or soon."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
