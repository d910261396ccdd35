"""How long a connection may last."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import door, users
from appliance.qmtpd import server, stdio
from appliance.state import State


@pytest.mark.parametrize(("program", "begin"), [("qmtp", b"2000:\nSubject: "), ("qmqp", b"2000:1000:Subject: ")])
def test_a_connection_has_an_hour_in_all(tmp_path: Path, program: str, begin: bytes) -> None:
    """However slowly it trickles: exit 111, as qmail-qmtpd and qmail-qmqpd; the test's hour is short."""
    assert stdio.WITHIN == server.WITHIN == 3600
    state = State(tmp_path)
    for folder in ("control", "users"):
        (state.generations / "one" / folder).mkdir(parents=True)
    (state.generations / "one" / "control" / "me").write_text("mx.example.org\n")
    (state.generations / "one" / "users" / "cdb").write_bytes(users.build(b".\n"))
    state.generation.symlink_to("one")
    state.run.mkdir()
    door.make_tokens(state)
    code = f"import sys; from appliance.qmtpd import stdio; stdio.WITHIN = 0.3; sys.exit(stdio.{program}())"
    environment = {**os.environ, "PAPERPATH_STATE": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(begin)
        process.stdin.flush()
        assert process.wait(20) == 111
