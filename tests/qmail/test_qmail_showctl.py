"""qmail-showctl: what is in force, and what it means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.config import pipeline
from appliance.config.activate import activate
from appliance.config.control_files import KNOWN
from appliance.qmail import showctl
from appliance.state import State

COMMAND = Path(sys.executable).with_name("qmail-showctl")


def shown(**variables):
    done = subprocess.run(
        [COMMAND], capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], **variables}
    )
    return done.returncode, done.stdout, done.stderr


def test_every_file_is_shown_with_its_meaning_or_default(tmp_path):
    """A line a file that is there; `(Default.)` for one that is not; an empty one is not missing (trap 2)."""
    control = tmp_path / "control"
    control.mkdir()
    (control / "me").write_text("mx.example.org\n")
    (control / "locals").write_text("")
    (control / "virtualdomains").write_text("a.example:joe\n# no\n.b.example:sue\n")
    (control / "badmailto").write_text("x\n")
    (control / "smtpgreeting").write_bytes(b"hello\x1b[2J\n")
    (control / "morercpthosts").write_text("c.example\n")
    status, text, _ = shown(QMAILHOME=str(tmp_path))
    assert status == 0
    for line in (
        "me: this host is mx.example.org",
        "locals: empty",
        "virtualdomains:\nvirtual domain a.example:joe\nvirtual domain .b.example:sue\n",
        "helohost: (Default.) to other hosts this one says it is mx.example.org",
        "rcpthosts: (Default.) from strangers no mail is taken for other hosts",
        "queuelifetime: (Default.) delivery is tried for 604800 seconds",
        "badmailto: not a file of qmail's",
        "smtpgreeting: clients are greeted: 220 hello?[2J",
        "morercpthosts.cdb: missing; run qmail-newmrh",
    ):
        assert f"\n{line}" in text, line
    (control / "morercpthosts.cdb").write_bytes(b"old")
    assert "morercpthosts.cdb: older than morercpthosts" in shown(QMAILHOME=str(tmp_path))[1]


def test_the_state_folder_s_configuration_is_shown(tmp_path):
    """Without another tree it is the one in force."""
    yaml = "version: 1\nhostname: mx.example.org\ndomains: {a.example: {catch_all: x@b.example}}\n"
    more = "control: {morercpthosts: [more.example]}\n"
    name, _ = activate(pipeline.compile_files(pipeline.parse((yaml + more).encode(), "f")), State(tmp_path))
    status, text, _ = shown(PAPERPATH_STATE=str(tmp_path))
    assert (status, text.split("\n")[0]) == (0, f"configuration {name} in {tmp_path}/generations/{name}")
    assert "\nvirtual domain a.example:a.example\n" in text
    assert "\nmorercpthosts.cdb: made from morercpthosts\n" in text


def test_every_control_file_of_qmail_is_known():
    """Whatever `control:` may name that qmail has."""
    ours = {"resolvers", "defaultdelivery", "qmtproutes"}
    assert set(showctl.LINES) | set(showctl.LISTS) >= set(KNOWN) - ours


@pytest.mark.parametrize(("arguments", "status"), [(["x"], 100), ([], 111)])
def test_what_can_t_be_shown_is_told(tmp_path, arguments, status):
    """An argument, or no control files at all."""
    done = subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=False, env={"PAPERPATH_STATE": str(tmp_path)}
    )
    assert done.returncode == status
    assert done.stderr.startswith("qmail-showctl: fatal: ")
