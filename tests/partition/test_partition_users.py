"""One user for each program: what a postmaster sees of it, in a container that root starts."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from partition_ways import BASE, FOR_USERS, HERE, need_podman

from appliance import door
from appliance.supervise.programs import PROGRAMS
from appliance.supervise.users import MEMBERS, NUMBERS, TOKENS

sys.path.insert(0, str(HERE.parent / "container"))
from containers import Container, wait_until

FETCH = """\
import poplib
mailbox = poplib.POP3("127.0.0.1", 2110)
mailbox.user("alice@example.org")
mailbox.pass_("secret")
print(mailbox.stat()[0])
mailbox.dele(1)
mailbox.quit()
"""
YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 0.0.0.0, port: 2525}}
  pop3: {{address: 127.0.0.1, port: 2110}}
domains:
  example.org:
    mailboxes:
      alice:
        password: "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
      bob: {{deliver: ["|umask >mask && forward alice@example.org"]}}
    aliases: {{postmaster: [alice]{more}}}
hardening: {{users: {users}}}
"""


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    """A container that root starts, and that has run as one user before, whose mail and queue are there."""
    need_podman()
    made = Container(tmp_path, user="0:0")
    made.options += FOR_USERS
    made.configure(YAML.format(users=0, more=""))
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.mark.container
def test_mail_goes_its_way_when_each_program_is_a_user(container: Container) -> None:
    """Old mail stays there; programs, forwards, POP3, commands, a changed YAML and a restart work as before."""
    container.send("alice@example.org", "before")
    wait_until(lambda: len(container.mailbox("alice")) == 1, 30, container.output)
    container.stop()
    container.configure(YAML.format(users=BASE, more=""))
    container.again()
    status = container.python(
        "sorted({line.split()[1] for p in os.listdir('/proc') if p.isdigit() and p != str(os.getpid())"
        " for line in open(f'/proc/{p}/status') if line.startswith('Uid:')})"
    )
    wanted = {"queue", "launcher", "local", "remote", "smtpd", "pop3d", "config"}
    assert set(status) == {"0", *(str(BASE + NUMBERS[name]) for name in wanted)}
    container.send("bob@example.org", "by a program")
    wait_until(lambda: len(container.mailbox("alice")) == 2, 30, container.output)
    assert container.run("python3", "-c", FETCH).strip() == "2"
    assert container.run("paperpath", "health").startswith("well")
    assert container.queue() == []
    container.configure(YAML.format(users=BASE, more=", new: [alice]"))
    wait_until(lambda: container.knows("new@example.org"), 30, container.output)
    container.stop()
    container.again()
    container.send("new@example.org", "after")
    wait_until(lambda: len(container.mailbox("alice")) >= 1, 30, container.output)
    assert container.log("trouble") == []


def test_every_program_has_a_number_and_every_token_two_readers() -> None:
    """A new program, or a new role at a door, can't be forgotten."""
    names = {program.name for program in PROGRAMS}
    assert set(NUMBERS) == names
    assert len(set(NUMBERS.values())) == len(names)
    assert set(MEMBERS) <= names
    assert set(TOKENS) == set(door.ROLES)
    for role, (says, told) in TOKENS.items():
        assert says is None or says in names
        assert (
            role in door.DOORS["launch" if told == "launcher" else "intake"] | door.DOORS["lease"] | door.DOORS["admin"]
        )
