"""Running containers of the real image, hardened as `make up` and the manifests harden it."""

import json
import os
import secrets
import shutil
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

ROOT = Path(__file__).parents[2]
IMAGE = os.environ.get("IMAGE", "localhost/paperpath:latest")
UID = 12345
PATIENCE = 10  # how much slower a busy machine may be
HARDENED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"]

MAIL_YAML = """\
version: 1
hostname: {hostname}
listen:
  smtp: {{address: 0.0.0.0, port: 2525}}
domains:
  {domain}:
    mailboxes:
      alice: {{}}
    aliases:
      postmaster: [alice]
{aliases}
{more}
"""


def podman(*arguments: str | Path, check: bool = True) -> str:
    """Run podman; what it printed. Its complaints fail the test."""
    environment = {**os.environ, "CONTAINERS_CONF": str(ROOT / "deploy" / "containers.conf")}
    done = subprocess.run(
        ["podman", *arguments], capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert not check or done.returncode == 0, f"podman {arguments}: {done.stderr}"
    return done.stdout


def need_podman() -> None:
    """Skip, with the reason, where containers can't run; fail where only the image is missing."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not here (Debian package podman)")
    try:
        podman("info")
    except AssertionError as error:
        pytest.skip(f"podman does not work here: {str(error)[-300:]}")
    assert podman("images", "--quiet", IMAGE), f"{IMAGE} is not built: make image"


def wait_until(condition: Callable[[], object], seconds: float, what: Callable[[], str]) -> object:
    """Wait for a condition; fail with what is told then if it does not come true in time (that of a quiet machine)."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.05)
    return value


def greets(port: int) -> bool:
    """Does somebody greet at this port of ours?"""
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            return connection.recv(4) == b"220 "
    except OSError:
        return False


class Container:
    """A container with its own configuration folder, volume and published port."""

    def __init__(
        self,
        folder: Path,
        *,
        hostname: str = "mx.example.org",
        domain: str = "example.org",
        aliases: str = "",
        more: str = "",
        user: str = f"{UID}:0",
        hardened: bool = True,
    ) -> None:
        self.name = f"paperpath-test-{secrets.token_hex(4)}"
        self.port = free_port()
        self.options = [*(HARDENED if hardened else []), "--user", user]
        self.domain = domain
        self.config = folder / "config"
        self.config.mkdir(parents=True)
        self.config.chmod(0o755)  # any uid must read it
        self.yaml = MAIL_YAML.format(hostname=hostname, domain=domain, aliases=aliases, more=more)
        self.configure(self.yaml)

    def configure(self, yaml: str) -> None:
        """Replace the file in one step, as git and editors do."""
        new = self.config / "mail.new"
        new.write_text(yaml)
        new.chmod(0o644)
        new.replace(self.config / "mail.yaml")

    def start(self, *options: str) -> "Container":
        """Run it, and wait for its greeting."""
        self.launch(*options)
        return self.wait()

    def launch(self, *options: str) -> None:
        podman(
            *("run", "--detach", "--name", self.name, *self.options),
            *("--publish", f"127.0.0.1:{self.port}:2525"),
            *("--volume", f"{self.config}:/etc/paperpath:ro", "--volume", f"{self.name}:/var/lib/paperpath"),
            *(*options, IMAGE),
        )

    def again(self) -> "Container":
        """Start it after a stop."""
        podman("start", self.name)
        return self.wait()

    def wait(self) -> "Container":
        wait_until(lambda: greets(self.port), 20, lambda: f"a 220 greeting\n{self.output()[-3000:]}")
        return self

    def inspect(self, template: str) -> str:
        return podman("inspect", "--format", template, self.name).strip()

    def address(self) -> str:
        return self.inspect("{{.NetworkSettings.IPAddress}}")

    def run(self, *command: str) -> str:
        """Run a command inside."""
        return podman("exec", self.name, *command)

    def python(self, code: str) -> Any:
        """Evaluate an expression with the Python inside."""
        return json.loads(self.run("python3", "-c", f"import json, os; print(json.dumps({code}))"))

    def output(self) -> str:
        """Standard output and error of everything inside."""
        done = subprocess.run(["podman", "logs", self.name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def log(self, event: str) -> list[dict[str, object]]:
        lines = [
            json.loads(line)
            for line in podman("logs", self.name).rpartition("\n")[0].splitlines()
            if line.startswith("{")
        ]
        return [line for line in lines if line["event"] == event]

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example", timeout=60)

    def send(self, to: str, text: str = "hello") -> str:
        """Send a message; the answer after the dot."""
        with self.smtp() as session:
            session.ehlo_or_helo_if_needed()
            assert session.mail("sender@client.example")[0] == 250
            code, answer = session.rcpt(to)
            assert code == 250, answer
            code, answer = session.data(f"From: sender@client.example\r\nSubject: test\r\n\r\n{text}\r\n")
            assert code == 250, answer
            return answer.decode()

    def knows(self, recipient: str) -> bool:
        """Is a recipient accepted by a new session?"""
        with self.smtp() as session:
            session.ehlo_or_helo_if_needed()
            session.mail("sender@client.example")
            return session.rcpt(recipient)[0] == 250

    def mailbox(self, name: str) -> Any:
        """The messages in a mailbox, read from the volume by the Python inside."""
        folder = f"/var/lib/paperpath/mail/{self.domain}/{name}/Maildir/new"
        return self.python(
            f"[open('{folder}/'+n).read() for n in sorted(os.listdir('{folder}'))] if os.path.isdir('{folder}') else []"
        )

    def queue(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.run("paperpath", "queue", "list", "--json").splitlines()]

    def stop(self) -> float:
        """`podman stop`; how long it took."""
        before = time.monotonic()
        podman("stop", "--time", "30", self.name)
        return time.monotonic() - before

    def remove(self) -> None:
        podman("rm", "--force", "--time", "0", self.name, check=False)
        podman("volume", "rm", "--force", self.name, check=False)
