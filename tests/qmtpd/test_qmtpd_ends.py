"""How a connection on stdin and stdout ends: the exit statuses of qmail-qmtpd and qmail-qmqpd."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import door, users
from appliance.qmtpd import server, stdio
from appliance.state import State

CODE = "import sys; from appliance.qmtpd import stdio; stdio.WITHIN = {}; sys.exit(stdio.{}())"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a state folder in which nothing runs."""
    state = State(tmp_path)
    for folder in ("control", "users"):
        (state.generations / "one" / folder).mkdir(parents=True)
    (state.generations / "one" / "control" / "me").write_text("mx.example.org\n")
    (state.generations / "one" / "users" / "cdb").write_bytes(users.build(b".\n"))
    state.generation.symlink_to("one")
    state.run.mkdir()
    door.make_tokens(state)
    return {**os.environ, "PAPERPATH_STATE": str(tmp_path)}


@pytest.mark.parametrize(("program", "begin"), [("qmtp", b"2000:\nSubject: "), ("qmqp", b"2000:1000:Subject: ")])
def test_a_connection_has_an_hour_in_all(environment: dict[str, str], program: str, begin: bytes) -> None:
    """However slowly it trickles: exit 111; the test's hour is short."""
    assert stdio.WITHIN == server.WITHIN == 3600
    with subprocess.Popen(
        [sys.executable, "-c", CODE.format(0.3, program)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(begin)
        process.stdin.flush()
        assert process.wait(20) == 111


@pytest.mark.parametrize(
    ("program", "said", "status", "why"),
    [
        ("qmtp", b"", 0, "nothing to send"),
        ("qmtp", b"2000:\nSubject: ", 0, "the client has left in the middle of a message"),
        ("qmtp", b"20", 0, "in the middle of a length"),
        ("qmtp", b"2:\nx", 0, "before a comma"),
        ("qmqp", b"2000:1000:Subject: ", 0, "in the middle of a request"),
        ("qmtp", b"200000001:\n", 111, "more than two hundred million bytes"),
        ("qmtp", b"99999999999999:\n", 111, "a length of more digits than any has"),
        ("qmqp", b"200000001:", 111, "the same by QMQP"),
        ("qmtp", b"EHLO x\r\n", 100, "no length"),
        ("qmtp", b"2:xy,", 100, "a message that does not begin with LF or CR"),
        ("qmtp", b"2:\nx;", 100, "no comma"),
        ("qmqp", b"GET / HTTP/1.0\r\n", 100, "no QMQP"),
    ],
)
def test_how_it_ends(environment: dict[str, str], program: str, said: bytes, status: int, why: str) -> None:
    """0 when the client is gone, 100 for what is no QMTP or QMQP, 111 for what is too much."""
    command = [sys.executable, "-c", CODE.format(20, program)]
    done = subprocess.run(command, env=environment, input=said, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (status, b""), why
