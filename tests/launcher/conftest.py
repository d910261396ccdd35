"""A launcher for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from launcher_parts import Launcher, make_state


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    program = Launcher(make_state(tmp_path))
    yield program
    program.stop()
