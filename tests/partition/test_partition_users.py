"""One user for each program: what a postmaster sees of it, in a container that root starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from partition_ways import BASE, FOR_USERS, HERE, need_podman, with_users

from appliance import calls, door, sandbox
from appliance.cli import run
from appliance.state import State
from appliance.supervise.programs import PROGRAMS
from appliance.supervise.users import MEMBERS, NUMBERS, TOKENS, Users

sys.path.insert(0, str(HERE.parent / "container"))
sys.path.insert(0, str(HERE.parent / "mutation"))
from containers import Container, podman, wait_until
from mutant import Mutant

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
    wait_until(
        lambda: podman("exec", container.name, "paperpath", "health", check=False)[:4] == "well", 10, container.output
    )
    wait_until(lambda: container.queue() == [], 10, container.output)
    container.configure(YAML.format(users=BASE, more=", new: [alice]"))
    wait_until(lambda: container.knows("new@example.org"), 30, container.output)
    container.stop()
    container.again()
    container.send("new@example.org", "after")
    wait_until(lambda: len(container.mailbox("alice")) >= 1, 30, container.output)
    assert container.log("trouble") == []


# what files' owners and modes alone decide: the programs that may
BY_USER = {
    "change the configuration": "config",
    "change the YAML": "",
    "read password hashes": "config pop3d",
    "change password hashes": "config",
    "read the queue": "queue",
    "change the queue": "queue",
    "read mail": "launcher local pop3d program",
    "change mail": "launcher local pop3d program",
    "look into others": "",
    "become another user": "",
}


@pytest.mark.container
def test_users_alone_keep_the_programs_apart(tmp_path: Path) -> None:
    """As on a kernel that has neither Landlock nor seccomp: what each program needs is its own user's."""
    need_podman()
    changes = [("    if known >= _LEAST:", "    if False:"), ("    if rules.calls is not None:", "    if False:")]
    mutant = Mutant(tmp_path, {"sandbox.py": changes})
    for path in (mutant.root, *mutant.root.rglob("*")):
        path.chmod(0o755)
    answers = with_users(tmp_path / "way", mutant.root)
    assert answers["smtpd"]["fork"] == "done"  # the sandbox is off indeed
    for right, programs in BY_USER.items():
        found = {program for program in answers if answers[program][right] != "refused"}
        assert found == set(programs.split()), right


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give each program a user of its own")
def test_users_that_can_not_work_are_told_at_the_start(tmp_path: Path) -> None:
    """Here the folder of the YAML is closed to them: nothing starts, and the sentence says why."""
    config = tmp_path / "closed" / "mail.yaml"
    config.parent.mkdir(mode=0o700)
    config.write_text(YAML.format(users=BASE, more=""))
    done = subprocess.run(
        [Path(sys.executable).with_name("paperpath"), "run", "--config", config, "--state", tmp_path / "state"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == run.NOT, done.stderr
    assert f"hardening.users: uid {BASE + NUMBERS['config']} can't read {config}" in done.stderr


@pytest.mark.parametrize(
    ("asked", "users", "sentence"),
    [
        (b"required:1\nusers:20000\n", None, "only root can give each program a user of its own"),
        (b"required:1\nusers:20000\n", Users(20000), ""),
        (b"required:0\nusers:20000\n", None, ""),
    ],
)
def test_required_means_the_users_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: bytes, users: Users | None, sentence: str
) -> None:
    """`hardening: {required: true, users: N}` does not start as one user."""
    if [*sandbox.missing(sandbox.kernel_abi()), *calls.missing()]:
        pytest.skip("this kernel can't enforce all of it, so nothing that requires it starts")
    state = State(tmp_path)
    (state.generations / "g" / "control").mkdir(parents=True)
    (state.generations / "g" / "control" / "hardening").write_bytes(asked)
    state.generation.symlink_to("g")
    assert (run._insist(state, users) == run.NOT) == bool(sentence)
    assert sentence in capsys.readouterr().err


def test_required_means_system_calls_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine whose calls we have no table of."""
    state = State(tmp_path)
    (state.generations / "g" / "control").mkdir(parents=True)
    (state.generations / "g" / "control" / "hardening").write_bytes(b"required:1\nusers:0\n")
    state.generation.symlink_to("g")
    here = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*here[:4], "riscv64")))
    assert run._insist(state, None) == run.NOT
    assert "this machine (riscv64) has no system call filter of ours: the program can fork" in capsys.readouterr().err


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
