"""The supervisor and its processes, with stand-in programs in the place of the real ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from tree_process import HERE, PATIENCE, Tree, alive, generation, until

NAMES = ("queue", "local-1", "remote-1", "smtpd-1", "smtpd-2", "config")
LISTEN = {"listen": "smtp:127.0.0.1:2525\n", "processes": "smtpd:2\n"}


@pytest.fixture
def steady(tree: Callable[..., Tree]) -> Tree:
    """The usual table, started, two smtpd."""
    made = tree("steady")
    generation(made.state, "first", **LISTEN)
    return made.start()


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_program_is_back_within_a_second(steady: Tree, name: str) -> None:
    """Kill -9 of any program: the supervisor logs it and starts another one at once, even right after its start."""
    before = steady.wait_for(*NAMES)
    os.kill(before[name], signal.SIGKILL)
    until(lambda: steady.pids().get(name) not in {None, before[name]}, 1, f"another {name}")
    steady.wait_for(*NAMES)
    (line,) = steady.log("exited")
    assert (line["name"], line["pid"]) == (name, before[name])
    assert "SIGKILL" in str(line["status"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_programs_stop_in_the_order_of_the_way_of_a_message(steady: Tree, number: int) -> None:
    """First nothing comes in any more, then deliveries end, then the queue stops."""
    steady.wait_for(*NAMES)
    begun = time.monotonic()
    assert steady.stop(number) == 0
    assert time.monotonic() - begun < 2 * PATIENCE
    ended = (steady.state.root / "ended").read_text().split()
    assert set(ended[:3]) == {"smtpd-1", "smtpd-2", "config"}
    assert set(ended[3:5]) == {"local-1", "remote-1"}
    assert ended[5:] == ["queue"]
    assert steady.log("stopped")


def test_programs_end_with_the_supervisor(steady: Tree) -> None:
    """Kill -9 of the supervisor leaves no program behind, and the next start is not hindered."""
    pids = steady.wait_for(*NAMES)
    assert steady.process is not None
    steady.process.kill()
    steady.process.wait()
    until(lambda: not any(alive(pid) for pid in pids.values()), 2, "their end")
    steady.start()
    assert not set(pids.values()) & set(steady.wait_for(*NAMES).values())


def test_a_second_supervisor_is_refused(steady: Tree) -> None:
    """One state folder has one supervisor; the second one says who has it."""
    steady.wait_for(*NAMES)
    assert steady.process is not None
    command = [sys.executable, HERE / "stand_in_tree.py", steady.state.root, "steady"]
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert second.returncode == 1
    assert f"already in use by another paperpath run (process {steady.process.pid})" in second.stderr


def test_programs_inherit_only_their_log(steady: Tree) -> None:
    """A program has stdin (nothing), stdout, stderr and the lock, and none of the supervisor's other descriptors."""
    steady.wait_for(*NAMES)
    told = [str(line["descriptors"]) for line in steady.log("started") if "descriptors" in line]
    assert len(told) == len(NAMES)
    for descriptors in told:
        assert len(descriptors.split()) <= 5  # with the one that lists them
        assert descriptors.startswith("0 1 2 ")


def test_another_number_of_processes_needs_no_restart(steady: Tree) -> None:
    """A generation that asks for more or fewer processes gets them; the others go on undisturbed."""
    before = steady.wait_for(*NAMES)
    generation(steady.state, "second", **LISTEN | {"processes": "smtpd:3\n"})
    assert steady.wait_for(*NAMES, "smtpd-3").items() >= before.items()
    generation(steady.state, "third", **LISTEN | {"processes": "smtpd:1\nremote:2\n"})
    after = steady.wait_for("queue", "local-1", "remote-1", "remote-2", "smtpd-1", "config")
    assert after["smtpd-1"] == before["smtpd-1"]


def test_a_program_is_restarted_when_its_sandbox_must_change(steady: Tree) -> None:
    """Another port: the smtpds are started again, one after another, and nobody else is."""
    before = steady.wait_for(*NAMES)
    generation(steady.state, "second", **LISTEN | {"listen": "smtp:127.0.0.1:2526\n"})
    until(lambda: not {before["smtpd-1"], before["smtpd-2"]} & set(steady.pids().values()), 8, "other smtpds")
    after = steady.wait_for(*NAMES)
    assert {name for name in NAMES if after[name] != before[name]} == {"smtpd-1", "smtpd-2"}


def test_without_a_listener_there_is_no_smtpd(tree: Callable[..., Tree]) -> None:
    """A host that only sends runs no SMTP server."""
    made = tree("steady")
    generation(made.state, "first")
    made.start().wait_for("queue", "local-1", "remote-1", "config")


def test_a_program_that_always_fails_is_tried_less_often(tree: Callable[..., Tree]) -> None:
    """Its error is one line with the traceback, the first restart is immediate, later ones wait; others go on."""
    made = tree("broken")
    generation(made.state, "first")
    made.start()
    until(lambda: len(made.log("exited")) >= 4, 5, "a fourth failure")
    failures = made.log("exited")
    third, fourth = (datetime.fromisoformat(str(line["time"])) for line in failures[2:4])
    assert (fourth - third).total_seconds() >= 0.9
    assert {line["status"] for line in failures} == {"exit status 70"}
    trouble = made.log("trouble")[0]
    assert "LookupError: nothing works in state" in str(trouble["cause"])
    assert made.pids().keys() >= {"queue"}
    assert made.stop() == 0


def test_process_one_of_a_container_reaps_orphans(tree: Callable[..., Tree]) -> None:
    """What a program leaves behind becomes process 1's child; it must not stay as a zombie."""
    prefix = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no right to make a pid namespace")
    made = tree("orphan", prefix)
    generation(made.state, "first")
    made.start()
    until((made.state.root / "orphan").exists, 10, "the orphan")
    assert made.process is not None
    (supervisor,) = Path(f"/proc/{made.process.pid}/task/{made.process.pid}/children").read_text().split()
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    until(lambda: len(children.read_text().split()) == 1, 3, "the orphan's burial")
    os.kill(int(supervisor), signal.SIGTERM)
    assert made.process.wait(20) == 0
