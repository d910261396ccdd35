"""Strangers at the launch door: mailboxes' programs run as our user, and any of them can connect to it."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "launcher"))
from launcher_parts import Launcher, make_state

from appliance import door, launch
from appliance.launcher.porch import MOST


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    program = Launcher(make_state(tmp_path))
    yield program
    program.stop()


def runs(launcher: Launcher) -> bool:
    """A program of a mailbox is started in time."""
    began = time.monotonic()
    outcome = launcher.run("exit 0")
    return outcome.letter == b"E" and time.monotonic() - began < 10


def test_strangers_get_no_process_and_hold_up_nobody(launcher: Launcher) -> None:
    """Silence, wrong tokens, other doors' tokens, a hello byte by byte: no minder is forked for any of them."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    inject = door.hello("inject", door.read_token(launcher.state, "inject"))
    with contextlib.ExitStack() as stack:
        waiting: list[socket.socket] = []
        for number in range(2 * MOST):
            waiting.append(stack.enter_context(launch.connect(launcher.state)))
            if number % 10 == 0:
                assert children.read_text().split() == []
        assert runs(launcher)
        for said in (b"x", b"GET / HTTP/1.1\r\n", inject, door.hello("local", b"0" * 64), b"9" * 60_000):
            stranger = stack.enter_context(launch.connect(launcher.state))
            stranger.settimeout(20)
            with contextlib.suppress(ConnectionError):
                stranger.sendall(said)
                assert stranger.recv(1) == b""
        assert runs(launcher)
        assert "ended early" not in launcher.log.read_text()  # a minder would say that


def test_descriptors_without_a_token_go_nowhere(launcher: Launcher) -> None:
    """What is passed with a wrong hello is closed with it."""
    folder = Path(f"/proc/{launcher.pid}/fd")
    if not os.access(folder, os.R_OK):
        pytest.skip("only root sees the descriptors of a program that is locked in")
    before = len(list(folder.iterdir()))
    for _ in range(20):
        with launch.connect(launcher.state) as stranger, contextlib.suppress(OSError):
            socket.send_fds(stranger, [b"no hello"], [0] * 100)
            stranger.settimeout(20)
            stranger.recv(1)
    assert runs(launcher)
    assert len(list(folder.iterdir())) <= before + 1
