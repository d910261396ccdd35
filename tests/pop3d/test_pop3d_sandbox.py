"""What a hole in pop3d would open, and what a hole elsewhere would not: each tried by a locked child."""

import errno
import os
import socket

import pytest
from pop3d_program import Pop3d

from appliance import partition, sandbox
from appliance.pop3d.server import Server
from appliance.sandbox import Rules

pytestmark = pytest.mark.skipif(sandbox.kernel_abi() < 4, reason="this kernel's Landlock has no rules for TCP")


def tried(rules: Rules, *attempts) -> list[str]:
    """What becomes of each attempt in a child locked by these rules."""
    read, write = os.pipe()
    if os.fork() == 0:
        sandbox.lock(rules)
        for attempt in attempts:
            try:
                attempt()
                os.write(write, b"done\n")
            except OSError as error:
                os.write(write, b"refused\n" if error.errno in (errno.EACCES, errno.EPERM) else b"other\n")
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.wait()
    return text.split()


@pytest.fixture
def stopped(pop3d: Pop3d) -> Pop3d:
    """A state folder with mail and passwords in it; nothing runs."""
    pop3d.fill(b"a: b\n\n")
    assert pop3d.stop() == 0
    return pop3d


def test_pop3d_reads_configuration_and_secrets_writes_mail_and_no_more(stopped):
    """It can't change who may log in, see the queue, take another port or call anybody."""
    state = stopped.state
    (state.queue).mkdir()
    (state.queue / "journal").write_bytes(b"mail")
    state.tokens.mkdir(parents=True)
    (state.tokens / "admin").write_bytes(b"token")
    passwords = state.secrets / os.readlink(state.generation) / "passwords.cdb"
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        where = somebody.getsockname()
        assert (
            tried(
                partition.pop3d(state, stopped.port, Server(state).configuration.settings.folders),
                (state.generation / "control" / "me").read_bytes,
                passwords.read_bytes,
                (stopped.secrets / "carol").read_bytes,
                lambda: (stopped.maildir() / "cur" / "x").write_bytes(b"x"),
                lambda: (state.generation / "control" / "me").write_bytes(b"x"),
                lambda: passwords.write_bytes(b"x"),
                (state.queue / "journal").read_bytes,
                (state.tokens / "admin").read_bytes,
                lambda: (stopped.secrets / "carol").write_bytes(b"x"),
                lambda: os.listdir("/etc"),
                lambda: os.execv("/bin/true", ["true"]),
                lambda: socket.create_connection(where, 5).close(),
                lambda: socket.create_server(("127.0.0.1", where[1] - 1 or 1)).close(),
            )
            == ["done"] * 4 + ["refused"] * 9
        )


def test_who_may_read_the_generations_may_not_read_passwords(stopped):
    """Smtpd, the queue, local and remote have no use for them."""
    passwords = stopped.state.secrets / os.readlink(stopped.state.generation) / "passwords.cdb"
    rules = Rules(read=(stopped.state.generations,), write=(stopped.state.mail,))
    assert tried(rules, (stopped.state.generation / "control" / "me").read_bytes, passwords.read_bytes) == [
        "done",
        "refused",
    ]
