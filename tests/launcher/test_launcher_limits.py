"""Limits and permissions from the control files, and the filter of system calls."""

import os
import struct
import subprocess
from pathlib import Path

import pytest
from launcher_parts import running, wait_until

from appliance.control import Generation
from appliance.launcher import calls, descendants
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


def verdict(code: bytes, architecture: int, number: int, argument: int) -> int:
    """What a classic BPF program answers for a system call: an interpreter of the four instructions it uses."""
    data = struct.pack("=iIQQ", number, architecture, 0, argument)
    accumulator, position = 0, 0
    operations = list(struct.iter_unpack("=HBBI", code))
    while True:
        operation, if_true, if_false, value = operations[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == 0x06:
            return value
        else:
            holds = accumulator == value if operation == 0x15 else accumulator >= value
            position += if_true if holds else if_false


ALLOW, EACCES, ENOSYS = 0x7FFF0000, 0x0005000D, 0x00050026


@pytest.mark.parametrize(
    ("architecture", "number", "family", "without", "with_", "reason"),
    [
        (0xC000003E, 0, 9, ALLOW, ALLOW, "read"),
        (0xC000003E, 41, 1, ALLOW, ALLOW, "a Unix socket"),
        (0xC000003E, 41, 2, EACCES, ALLOW, "an internet socket"),
        (0xC000003E, 41, 10, EACCES, ALLOW, "IPv6"),
        (0xC000003E, 41, 16, EACCES, ALLOW, "netlink, by which the resolver asks for addresses"),
        (0xC000003E, 41, 17, EACCES, EACCES, "a packet socket"),
        (0xC000003E, 41, 38, EACCES, EACCES, "the kernel's cryptography"),
        (0xC000003E, 50, 0, EACCES, EACCES, "listen"),
        (0xC000003E, 425, 0, ENOSYS, ENOSYS, "io_uring"),
        (0xC000003E, 41 | 0x40000000, 2, ENOSYS, ENOSYS, "the x32 door to the same call"),
        (0x40000003, 102, 2, ENOSYS, ENOSYS, "a 32-bit program"),
    ],
)
def test_the_filter_of_system_calls(
    architecture: int, number: int, family: int, without: int, with_: int, reason: str
) -> None:
    """On x86_64: sockets by their family, nobody listens."""
    closed, opened = (calls.filter_of(0xC000003E, 41, 50, families) for families in ((1,), (1, 2, 10, 16)))
    assert verdict(closed, architecture, number, family) == without, reason
    assert verdict(opened, architecture, number, family) == with_, reason


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
