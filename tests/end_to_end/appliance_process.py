"""The whole appliance as a plain process tree, for tests: start it, talk to it, read its log and mailboxes."""

import json
import os
import random
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PATIENCE = 10  # how much slower a busy machine may be
PAPERPATH = Path(sys.executable).with_name("paperpath")

MAIL_YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {port}}}
domains:
  example.org:
    mailboxes:
      alice: {{}}
      bob: {{}}
    aliases:
      postmaster: [alice]
      team: [alice, bob]
{more}
"""


def free_port() -> int:
    """A port that nobody has, below those that the kernel gives to clients: none of them takes it before we do."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> object:
    """Wait for a condition; fail with `what` if it does not come true in time (that of a quiet machine)."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Appliance:
    """One running Paperpath with its own YAML, state folder and log."""

    def __init__(self, folder: Path, more: str = "", yaml: str | None = None) -> None:
        self.port = free_port()
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "config" / "mail.yaml"
        self.config.parent.mkdir(parents=True)
        self.configure(MAIL_YAML.format(port=self.port, more=more) if yaml is None else yaml)
        self.log_file = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, yaml: str) -> None:
        """Replace the YAML in one step, as git and ConfigMaps do."""
        new = self.config.with_suffix(".new")
        new.write_text(yaml)
        new.replace(self.config)

    def start(self, *, wait: bool = True) -> "Appliance":
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [PAPERPATH, "run", "--config", self.config, "--state", self.state],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            wait_until(self.answers, 20, f"a 220 greeting\n{self.log_file.read_text()[-3000:]}")
        return self

    def answers(self) -> bool:
        """Does the SMTP port greet?"""
        assert self.process is None or self.process.poll() is None, self.log_file.read_text()[-3000:]
        try:
            with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill_all(self) -> None:
        """Kill -9 the whole tree at once, as a power cut would look to it."""
        assert self.process is not None
        for pid in [self.process.pid, *self.programs().values()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def programs(self) -> dict[str, int]:
        """The pids of the programs by name (smtpd:0 ...), from the supervisor's children."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            pids = [int(word) for word in children.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return {}
        found: dict[str, int] = {}
        for pid in pids:
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[f"{name}:{pid}"] = pid
        return found

    def smtp(self) -> smtplib.SMTP:
        """A session of Python's own client."""
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example", timeout=60)

    def send(self, *to: str, text: str = "hello", sender: str = "sender@client.example") -> str:
        """Send a message; the queue's id of it, from the 250 answer."""
        with self.smtp() as session:
            session.ehlo_or_helo_if_needed()
            assert session.mail(sender)[0] == 250
            for recipient in to:
                code, answer = session.rcpt(recipient)
                assert code == 250, answer
            code, answer = session.data(f"From: {sender}\r\nSubject: test\r\n\r\n{text}\r\n")
            assert code == 250, answer
            return answer.decode().split()[-1]

    def mailbox(self, name: str, domain: str = "example.org") -> list[bytes]:
        """The messages in a mailbox, oldest first."""
        folder = self.state / "mail" / domain / name / "Maildir" / "new"
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []

    def log(self, event: str | None = None) -> list[dict[str, object]]:
        """The log lines that are complete, or those of one event. Every line must be JSON."""
        lines = [json.loads(line) for line in self.log_file.read_bytes().rpartition(b"\n")[0].splitlines()]
        return [line for line in lines if event is None or line["event"] == event]

    def queue(self) -> list[dict[str, object]]:
        """What waits in the queue, as `paperpath queue list --json` tells it."""
        done = subprocess.run(
            [PAPERPATH, "queue", "list", "--state", self.state, "--json"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]
