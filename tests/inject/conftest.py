"""Commands as their users run them, and a queue that keeps what they hand in."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from inject_parts import BIN, Command, RecordingQueue, make_state

from appliance.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return make_state(tmp_path / "state")


@pytest.fixture
def queue(state: State) -> Iterator[RecordingQueue]:
    recording = RecordingQueue(state)
    yield recording
    recording.close()


@pytest.fixture
def run(state: State, tmp_path: Path) -> Command:
    """Run one of our commands with this state folder: words, stdin, and variables of its own."""

    def command(
        name: str, *words: str | bytes, text: bytes = b"", **variables: str
    ) -> subprocess.CompletedProcess[bytes]:
        environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "PAPERPATH_STATE": str(state.root), "USER": "joe"}
        return subprocess.run(
            [BIN / name, *words],
            check=False,
            input=text,
            env=environ | variables,
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
        )

    return command
