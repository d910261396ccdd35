"""Mail from SMTP to POP3, by the whole appliance."""

import contextlib
import poplib
import subprocess
from collections.abc import Callable

import pytest
from appliance_process import PAPERPATH, Appliance, free_port, wait_until

YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {smtp}}}
  pop3: {{address: 127.0.0.1, port: {pop3}}}
domains:
  example.org:
    mailboxes:
      alice: {{password: "{hash}"}}
    aliases: {{postmaster: [alice]}}
"""


def made_hash(password: str) -> str:
    """What `paperpath password` prints."""
    done = subprocess.run([PAPERPATH, "password"], input=f"{password}\n", capture_output=True, text=True, check=True)
    return done.stdout.strip()


def fetch(port: int, password: str) -> list[list[bytes]]:
    """All messages of alice, which are removed there."""
    session = poplib.POP3("127.0.0.1", port, timeout=20)
    with contextlib.closing(session):
        session.user("alice@example.org")
        session.pass_(password)
        count, size = session.stat()
        found = [session.retr(number + 1) for number in range(count)]
        assert size == sum(len(line) + 2 for _, lines, _ in found for line in lines)
        for number in range(count):
            session.dele(number + 1)
        session.quit()
    return [lines for _, lines, _ in found]


def test_mail_that_came_by_smtp_is_fetched_by_pop3(appliance: Callable[..., Appliance]) -> None:
    """Health asks POP3, too; names of files tell their wire size; a new password counts as soon as the YAML has it."""
    port = free_port()
    running = appliance()
    hashes = {password: made_hash(password) for password in ("one", "two")}
    running.configure(YAML.format(smtp=running.port, pop3=port, hash=hashes["one"]))
    running.start()
    health = [PAPERPATH, "health", "--state", running.state]
    wait_until(lambda: subprocess.run(health, capture_output=True, check=False).returncode == 0, 10, "health")
    running.send("alice@example.org", text=".a dot at the beginning")
    new = running.state / "mail" / "example.org" / "alice" / "Maildir" / "new"
    wait_until(lambda: new.is_dir() and any(new.iterdir()), 5, "the mail")
    assert all(",W=" in path.name for path in new.iterdir())
    (message,) = fetch(port, "one")
    assert message[0] == b"Return-Path: <sender@client.example>"
    assert message[-1] == b".a dot at the beginning"
    assert fetch(port, "one") == []
    running.configure(YAML.format(smtp=running.port, pop3=port, hash=hashes["two"]))
    wait_until(lambda: len(running.log("activated")) == 2, 10, "the new generation")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        fetch(port, "one")
    assert fetch(port, "two") == []


def test_pop3_comes_and_goes_with_its_listener(appliance: Callable[..., Appliance]) -> None:
    """Nobody who did not ask for it has it running."""
    port = free_port()
    running = appliance().start()
    assert not any(name.startswith("pop3d") for name in running.programs())
    without = running.config.read_text()
    running.configure(YAML.format(smtp=running.port, pop3=port, hash=made_hash("one")))
    wait_until(lambda: any(line["program"] == "pop3d" for line in running.log("started")), 10, "pop3d")
    assert fetch(port, "one") == []
    running.configure(without)
    wait_until(lambda: not any(name.startswith("pop3d") for name in running.programs()), 10, "its end")
