"""`paperpath sandbox`: who may touch what, from the rows that the programs lock themselves in by."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import calls, partition, sandbox
from appliance.cli import sandbox as command
from appliance.config.apply import apply
from appliance.state import State

PAPERPATH = Path(sys.executable).with_name("paperpath")
YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {address: 127.0.0.1, port: 2525}
  qmtp: {address: 127.0.0.1, port: 2209}
domains:
  example.org: {mailboxes: {alice: {}}, aliases: {postmaster: [alice]}}
routes:
  - {domain: partner.example, via: "smtp://mail.partner.example:2626"}
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A state folder with this configuration in force; nothing runs."""
    made, config = State(tmp_path / "state"), tmp_path / "config" / "mail.yaml"
    config.parent.mkdir()
    config.write_text(YAML)
    made.run.mkdir(parents=True)
    (made.run / "mail.yaml").symlink_to(config)
    apply(config, made, ("", ""))
    return made


def sandboxes(state: State, *options: str) -> str:
    done = subprocess.run(
        [PAPERPATH, "sandbox", "--state", state.root, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_program_has_a_row_with_its_files_and_ports(state: State) -> None:
    """What smtpd listens on, what remote connects to, what the queue alone writes."""
    machine, *rows = [json.loads(line) for line in sandboxes(state, "--json").splitlines()]
    programs = {row["program"]: row for row in rows}
    assert machine["landlock"] == sandbox.kernel_abi()
    assert machine["lacks"] == [*sandbox.missing(sandbox.kernel_abi()), *calls.missing()]
    assert list(programs) == [
        *("smtpd", "qmtpd", "queue", "local", "launcher", "a mailbox's program", "remote", "config"),
    ]
    assert programs["smtpd"]["listens"] == [2525]
    assert programs["qmtpd"]["listens"] == [2209]
    assert programs["remote"]["connects"] == [25, 53, 2626]
    assert [name for name, row in programs.items() if str(state.queue) in row["writes"]] == ["queue"]
    assert [name for name, row in programs.items() if "fork" in row["may"]] == [
        *("launcher", "a mailbox's program", "config"),
    ]


def test_the_page_for_people_says_the_same(state: State) -> None:
    """A paragraph a program, and what the machine lacks in front of them."""
    page = sandboxes(state)
    assert page.startswith(f"Landlock {sandbox.kernel_abi()}, ")
    lacking = [*sandbox.missing(sandbox.kernel_abi()), *calls.missing()]
    assert ("this machine enforces all of it" in page) == (not lacking)
    assert all(f"LACKING: {sentence}\n" in page for sentence in lacking)
    assert "\nqueue\n" in page
    assert f"    writes    {state.queue}\n" in page


def test_without_a_configuration_there_is_nothing_to_say(tmp_path: Path) -> None:
    """A wrong --state is told as such."""
    done = subprocess.run([PAPERPATH, "sandbox", "--state", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == command.NOT
    assert "is that the right --state?" in done.stderr


def test_a_row_without_a_filter_may_do_everything(tmp_path: Path) -> None:
    """What is printed is asked of the row's own filter."""
    row = partition.queue(State(tmp_path))
    assert "fork" in command.described(row)["may not"]
    assert "fork" in command.described(sandbox.Rules(read=row.read))["may"]
