"""Ways of running Paperpath, probed: each starts the whole of it once, and has what every program was answered."""

import json
import os
import secrets
import shutil
import signal
import smtplib
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NOBODY = 65534
sys.path.insert(0, str(HERE.parent / "container"))

from containers import HARDENED, IMAGE, UID, need_podman, podman  # noqa: E402  # of the tests of the image

BASE = 20000  # the first of one user for each program
# what root needs to give each program a user of its own
FOR_USERS = [f"--cap-add={name}" for name in ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")]
SOURCES = ("partition_attempts.py", "partition_inside.py", "partition_probe.py")
YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: {address}, port: {port}}}
  pop3: {{address: 127.0.0.1, port: {pop3}}}
  qmtp: {{address: 127.0.0.1, port: {qmtp}}}
domains:
  example.org:
    mailboxes:
      alice:
        password: "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
        deliver: ["|exec python3 partition_inside.py"]
      bob: {{}}
    aliases: {{postmaster: [bob]}}
{more}
"""
PATIENCE = 90.0  # seconds, of a busy machine

Answers = dict[str, dict[str, str]]  # of each program: right, and what became of it


def wait_for(condition: Callable[[], Any], tell: Callable[[], str]) -> Any:
    """Until it is true; fails with what is told."""
    until = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < until, tell()
        time.sleep(0.1)
    return value


def prepare(folder: Path, address: str = "127.0.0.1", more: str = "", port: int = 0) -> tuple[Path, Path, int]:
    """The YAML file, a state folder with things to look at, and the port for SMTP."""
    port = port or free_port()
    config, state, elsewhere = folder / "config" / "mail.yaml", folder / "state", folder / "elsewhere"
    home = state / "mail" / "example.org" / "alice"
    for made in (config.parent, home, state / "queue", elsewhere):
        made.mkdir(parents=True)
    config.write_text(YAML.format(address=address, port=port, pop3=free_port(), qmtp=free_port(), more=more))
    for probe in (state / "mail" / "probe", state / "queue" / "probe", elsewhere / "file"):
        probe.write_text("x")
    for source in SOURCES[:2]:
        shutil.copy(HERE / source, home)
    elsewhere.chmod(0o777)
    (elsewhere / "file").chmod(0o666)
    return config, state, port


def send(port: int, log: Callable[[], str], ended: Callable[[], object]) -> None:
    """A message for alice, whose program answers."""

    def sent() -> bool:
        assert ended() is None, log()[-6000:]
        try:
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=20) as session:
                session.sendmail("", ["alice@example.org"], b"Subject: probe\r\n\r\nhello\r\n")
        except (OSError, smtplib.SMTPException):
            return False
        return True

    wait_for(sent, lambda: f"nobody takes mail\n{log()[-6000:]}")


def answers_of(log: Callable[[], str], state: Path) -> Answers:
    """What all programs, and alice's, were answered, as soon as they have all told."""
    inside = state / "mail" / "example.org" / "alice" / "answers.json"
    names = {"smtpd", "qmtpd", "queue", "local", "launcher", "remote", "pop3d", "config"}

    def all_told() -> Answers:
        lines = [json.loads(line) for line in log().splitlines() if line.startswith("{")]
        told = [line for line in lines if line["event"] == "probed"]
        found: Answers = {}
        for line in told:
            assert line["lacking"] == [], "whole, before a thread has started, before anybody is heard"
            assert found.setdefault(line["program"], line["answers"]) == line["answers"], "processes of a program agree"
        return found if names <= found.keys() and inside.exists() else {}

    found = wait_for(all_told, lambda: log()[-6000:])
    return {**found, "program": json.loads(inside.read_text())}


def make_run(folder: Path, environment: dict[str, str] | None = None) -> Answers:
    """As `make run` does it: as whoever starts it, who may be root."""
    return _started(folder, Path(sys.executable), environment or {}, {})


def unprivileged(_: Path) -> Answers:
    """`make run` by somebody without any right, where root runs the tests."""
    if os.geteuid() != 0:
        pytest.skip("nobody is root here: `make run` is unprivileged")
    own = "python{}.{}".format(*sys.version_info)
    pythons = [Path(sys.executable).resolve(), Path("/usr/bin", own)]
    python = next(filter(_runs, pythons), None)
    if python is None or not all(folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents)):
        pytest.skip(f"{own}, or this folder, is closed to other users")
    with tempfile.TemporaryDirectory(prefix="paperpath-probe-") as name:
        os.chmod(name, 0o755)
        code = {"PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}", "PYTHONDONTWRITEBYTECODE": "1"}
        return _started(Path(name), python, code, {"user": NOBODY, "group": NOBODY, "extra_groups": []})


def _runs(python: Path) -> bool:
    """Whether nobody can use it."""
    try:
        return subprocess.run([python, "-c", ""], user=NOBODY, cwd="/", check=False).returncode == 0
    except OSError:
        return False


def _started(folder: Path, python: Path, environment: dict[str, str], who: dict[str, Any]) -> Answers:
    config, state, port = prepare(folder)
    if who:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, HERE / SOURCES[2], folder, "run", "--config", config, "--state", state],
            stdout=output, stderr=output, start_new_session=True, env={**os.environ, **environment}, cwd="/", **who,
        )  # fmt: skip
    try:
        send(port, log.read_text, process.poll)
        return answers_of(log.read_text, state)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def in_container(folder: Path) -> Answers:
    """Hardened, as any user: no capability, nothing writable but the state folder."""
    return _contained(folder, UID, [])


def with_users(folder: Path, code: Path | None = None) -> Answers:
    """In a container that root starts, each program as a user of its own. code: a changed copy of our own."""
    changed = ["--volume", f"{code}:/changed:ro", "--env", "PYTHONPATH=/changed"] if code else []
    return _contained(folder, 0, [*FOR_USERS, *changed], f"hardening: {{required: true, users: {BASE}}}")


def _contained(folder: Path, uid: int, options: list[str], more: str = "") -> Answers:
    need_podman()
    config, state, _ = prepare(folder, "0.0.0.0", more, port=2525)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, 0)
    config.parent.chmod(0o755)
    port, name = free_port(), f"paperpath-test-{secrets.token_hex(4)}"
    mounts = {config.parent: "/etc/paperpath:ro", state: "/var/lib/paperpath", HERE: "/probe:ro"}
    podman(
        *("run", "--detach", "--name", name, *HARDENED, *options, "--user", f"{uid}:0"),
        *("--publish", f"127.0.0.1:{port}:2525", "--volume", f"{folder / 'elsewhere'}:/probed/elsewhere"),
        *(word for here, there in mounts.items() for word in ("--volume", f"{here}:{there}")),
        *("--entrypoint", "python3", IMAGE, f"/probe/{SOURCES[2]}", "/probed"),
        *("run", "--config", "/etc/paperpath/mail.yaml", "--state", "/var/lib/paperpath"),
    )

    def log() -> str:
        done = subprocess.run(["podman", "logs", name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    try:
        send(port, log, lambda: None if name in podman("ps", "--format", "{{.Names}}") else "it has ended")
        return answers_of(log, state)
    finally:
        podman("rm", "--force", "--time", "0", name, check=False)
