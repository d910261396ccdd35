"""Limits and permissions from the control files, and the end of what a program has started."""

import os
import subprocess
from pathlib import Path

import pytest
from launcher_parts import running, wait_until

from appliance.control import Generation
from appliance.launcher import descendants
from appliance.launcher.limits import Limits, networked


def generation(folder: Path, **files: bytes) -> Generation:
    (folder / "control").mkdir()
    for name, content in files.items():
        (folder / "control" / name).write_bytes(content)
    return Generation(folder)


@pytest.mark.parametrize(
    ("text", "limits", "reason"),
    [
        (b"time:7\nmemory:1\nprocesses:2\nfile_size:3\n", Limits(7, 1, 2, 3), "all of them"),
        (b"time:7\n", Limits(time=7), "some"),
        (b"time:many\nmemory:-1\nnonsense:3\n", Limits(), "what is no number, or unknown, is as if left out"),
        (b"\xff\x00garbage", Limits(), "garbage"),
        (None, Limits(), "no file"),
    ],
)
def test_limits_of_a_generation(tmp_path: Path, text: bytes | None, limits: Limits, reason: str) -> None:
    """There is no way to have none."""
    files = {} if text is None else {"programlimits": text}
    assert Limits.of(generation(tmp_path, **files)) == limits, reason


def test_homes_with_network(tmp_path: Path) -> None:
    """One a line, as users/assign names them; without the file nobody."""
    made = generation(tmp_path, programnetwork=b"# comment\nmail/a/b\nmail/c/\n")
    assert networked(made) == {b"mail/a/b", b"mail/c"}


@pytest.mark.parametrize(
    "command", ["sleep 4716 & sleep 4716 & wait", "setsid sh -c 'trap \"\" TERM; sleep 4716 & sleep 4716' &"]
)
def test_without_a_sandbox_that_keeps_signals_in_descendants_are_killed_one_by_one(command: str) -> None:
    """As on a kernel older than 6.12; nobody else is touched, and nobody is left."""
    other = subprocess.Popen(["sleep", "4717"])
    if not (pid := os.fork()):
        descendants.adopt()
        subprocess.Popen(["/bin/sh", "-c", command])
        wait_until(lambda: len(running("sleep\x004716")) == 2)
        os._exit(0 if descendants.usage(20)[0] >= 2 and descendants.end_all(inside=False) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert not running("sleep\x004716")
    assert other.poll() is None
    other.kill()
    other.wait()
