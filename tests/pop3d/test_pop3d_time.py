"""How long a client may say nothing."""

import os
import subprocess
import sys

import pytest
from pop3d_program import fill

from appliance.pop3d import session, standard


@pytest.mark.parametrize(
    ("program", "said", "status"),
    [("qmail_pop3d", b"DELE 1\r\n", 0), ("popup", b"USER alice\r\n", 1)],
)
def test_twenty_minutes_of_silence_end_a_session_and_delete_nothing(tmp_path, program, said, status):
    """As in qmail (1200 s, and the exit statuses); the test's twenty minutes are short."""
    assert session.IDLE == standard.PATIENCE == 1200
    fill(tmp_path, b"A: b\n\n")
    code = f"import os, sys; from appliance.pop3d import standard, {program}; standard.PATIENCE = 0.3; "
    code += f"os.getuid = lambda: 1; sys.exit({program}.main())"
    arguments = [tmp_path] if program == "qmail_pop3d" else ["mx.example.org", "true"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(said)
        process.stdin.flush()
        assert process.wait(20) == status
        assert process.stdout.read().count(b"+OK") == 2
    assert len(os.listdir(tmp_path / "new")) == 1
