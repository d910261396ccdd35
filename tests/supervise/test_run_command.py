"""`paperpath run` and `paperpath health` with the real programs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from tree_process import PATIENCE, until

from appliance import sandbox
from appliance.state import State
from appliance.supervise import health

PAPERPATH = Path(sys.executable).with_name("paperpath")
ENVIRONMENT = dict(os.environ)
YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {port}}}
domains:
  example.org:
    mailboxes: {{alice: {{}}}}
    aliases: {{postmaster: [alice]}}
relay: {{allow_from: [8.0.0.0/8]}}
"""


def command(name: str, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    words = (PAPERPATH, name, *words)
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=ENVIRONMENT | more)


class Appliance:
    """`paperpath run` with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.state, self.config, self._log = folder / "state", folder / "mail.yaml", folder / "log"
        self.config.write_text(YAML.format(port=free_port()))
        with self._log.open("wb") as log:
            words = [PAPERPATH, "run", "--config", self.config, "--state", self.state]
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=ENVIRONMENT)

    def log(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self._log.read_bytes().rpartition(b"\n")[0].splitlines()]
        return [line for line in lines if line["event"] == event]

    def health(self) -> dict[str, object]:
        report = json.loads(command("health", "--state", self.state, "--json").stdout)
        assert isinstance(report, dict)
        return report

    def program(self, name: str) -> int:
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(int(pid) for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == name)


@pytest.fixture
def appliance(running: Appliance) -> Appliance:
    """A running one, which a test leaves as it was."""
    until(lambda: running.health()["healthy"], 15, "health")
    return running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """One for all tests, for its start takes seconds; stopped at the end."""
    made = Appliance(tmp_path_factory.mktemp("appliance"))
    try:
        yield made
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(30) == 0
    finally:
        made.process.kill()
        made.process.wait()


def test_health_when_all_is_well(appliance: Appliance) -> None:
    """Exit status 0, the hash that is in force, the programs that are connected; quick, for it is asked often."""
    begun = time.monotonic()
    done = command("health", PAPERPATH_STATE=str(appliance.state))
    assert time.monotonic() - begun < 2 * PATIENCE
    name = Path(os.readlink(appliance.state / "generations" / "active")).name
    assert (done.returncode, done.stdout) == (0, f"well: configuration {name}, 0 messages in the queue\n")
    report = appliance.health()
    assert report["configuration"] == name
    assert report["problems"] == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["queue"], "the queue does not answer"),
        (["smtpd-1", "smtpd-2"], "SMTP on"),
        (["smtpd-2"], "smtpd-2 is halted"),
        (["local-1"], "local-1 is halted"),
        (["config"], "config is halted"),
    ],
)
def test_health_says_which_program_hangs(appliance: Appliance, names: list[str], said: str) -> None:
    """A program that is there and does not answer is named, with exit status 1."""
    pids = [appliance.program(name) for name in names]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        done = command("health", "--state", appliance.state)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert done.returncode == 1
    assert said in done.stdout


def test_health_says_which_program_is_missing(appliance: Appliance) -> None:
    """The watcher has no connection to the queue; that it is missing is seen all the same."""
    yaml = appliance.state / "run" / "mail.yaml"
    yaml.unlink()
    os.kill(appliance.program("config"), signal.SIGKILL)
    report = until(lambda: not (found := appliance.health())["healthy"] and found, 5, "the report")
    assert isinstance(report, dict)
    assert report["problems"] == ["config is not running"]
    yaml.symlink_to(appliance.config)
    until(lambda: appliance.health()["healthy"], 15, "its return")


def test_health_says_that_the_disk_is_full(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue answers 451 then; nobody should have to find that in the log."""
    monkeypatch.setattr(health, "ROOM", 1 << 60)
    queue, mail = health.examine(State(appliance.state)).problems
    assert queue.endswith("queue is full")
    assert mail.endswith("mail is full")


def test_health_when_nothing_runs(tmp_path: Path) -> None:
    """A folder that is no state folder, and one whose programs are gone."""
    done = command("health", "--state", tmp_path)
    assert done.returncode == 1
    assert "no configuration is in force" in done.stdout


def test_a_bad_file_starts_nothing(tmp_path: Path) -> None:
    """Its problems as `check` gives them, exit status 2, no program and no generation."""
    config = tmp_path / "mail.yaml"
    config.write_text("version: 1\nhostname: mx.example.org\ndomain: {}\n")
    done = command("run", "--config", config, "--state", tmp_path / "state")
    assert done.returncode == 2
    assert f"{config}:3:1: domain: " in done.stderr
    assert not (tmp_path / "state" / "generations" / "active").exists()
    missing = command("run", "--config", tmp_path / "missing.yaml", "--state", tmp_path / "new")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == f"{tmp_path / 'missing.yaml'}: can't be read: No such file or directory\n"
    assert not (tmp_path / "new").exists()


def test_a_state_folder_that_can_not_be_made(tmp_path: Path) -> None:
    """Exit status 1 and the reason."""
    (tmp_path / "file").write_text("")
    (tmp_path / "mail.yaml").write_text(YAML.format(port=free_port()))
    done = command("run", "--config", tmp_path / "mail.yaml", "--state", tmp_path / "file" / "state")
    assert done.returncode == 1
    assert "could not start" in done.stderr


def test_warnings_are_in_the_log(appliance: Appliance) -> None:
    """A network of strangers that may relay is told at the start."""
    texts = [str(line["text"]) for line in appliance.log("configuration_warning")]
    assert any("8.0.0.0/8" in text for text in texts)


def test_sighup_looks_at_the_yaml_now(appliance: Appliance) -> None:
    """The supervisor hands it to the watcher; nothing else is disturbed."""
    good, exited = appliance.config.read_text(), len(appliance.log("exited"))
    appliance.config.write_text("nonsense: 1\n")
    first = until(lambda: len(appliance.log("configuration_refused")), 5, "the refusal")
    appliance.process.send_signal(signal.SIGHUP)
    until(lambda: len(appliance.log("configuration_refused")) > first, 5, "the refusal once more")
    assert len(appliance.log("exited")) == exited
    assert appliance.health()["healthy"]
    appliance.config.write_text(good)


def test_every_program_starts_with_the_same_configuration(appliance: Appliance) -> None:
    """The start lines name the hash that is linked, and every program has locked itself in."""
    until(lambda: len(appliance.log("started")) >= 6, 5, "the start lines")
    name = Path(os.readlink(appliance.state / "generations" / "active")).name
    assert {line["configuration"] for line in appliance.log("started")} == {name}
    for program in ("queue", "local-1", "remote-1", "smtpd-1", "config"):
        status = Path(f"/proc/{appliance.program(program)}/status").read_text()
        assert "NoNewPrivs:\t1" in status, program


def test_required_hardening_refuses_what_it_can_not_have(tmp_path: Path) -> None:
    """With `hardening: {required: true}` nothing runs as root, or on a kernel that can't enforce the sandbox."""
    lacking = sandbox.missing(sandbox.kernel_abi())
    if not lacking and os.geteuid() != 0:
        pytest.skip("not root, and this kernel enforces all: nothing to refuse")
    (tmp_path / "mail.yaml").write_text(YAML.format(port=free_port()) + "hardening: {required: true}\n")
    os.chown(tmp_path, 0, 0)
    (tmp_path / "mail.yaml").chmod(0o600)  # nobody else can read it, so root would have to stay root
    done = command("run", "--config", tmp_path / "mail.yaml", "--state", tmp_path / "state")
    assert done.returncode == 1
    assert "paperpath run: hardening.required: " in done.stderr


@pytest.mark.parametrize("shares", [False, True], ids=["another server", "another Paperpath"])
def test_a_port_that_somebody_has_stops_the_start(tmp_path: Path, shares: bool) -> None:
    """Two servers on one port would each get a part of the mail: the second says so and ends."""
    with socket.socket() as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (tmp_path / "mail.yaml").write_text(YAML.format(port=port))
        done = command("run", "--config", tmp_path / "mail.yaml", "--state", tmp_path / "state")
    assert done.returncode == 1
    assert f"paperpath run: can't listen on 127.0.0.1:{port}: Address already in use" in done.stderr
