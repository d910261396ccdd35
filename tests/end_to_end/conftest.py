"""The appliance itself, and its real peers."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from appliance_process import Appliance
from real_peers import Dovecot, Postfix, Sink


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Callable[..., Appliance]]:
    """Make appliances; whatever still runs at the end is stopped."""
    made: list[Appliance] = []

    def make(more: str = "", yaml: str | None = None) -> Appliance:
        made.append(Appliance(tmp_path / f"appliance{len(made)}", more, yaml))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            assert one.stop() == 0


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    """smtp-sink, not started yet."""
    made = Sink(tmp_path / "sink")
    yield made
    made.stop()


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    """A real Postfix, not started yet; its folder is one that its own users may enter (pytest closes those it makes)."""
    with tempfile.TemporaryDirectory(prefix="postfix-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        made = Postfix(Path(folder) / "instance")
        yield made
        made.stop()


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    """A real Dovecot, not started yet; its folder is one that its own users may enter."""
    with tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        made = Dovecot(Path(folder) / "dovecot")
        yield made
        made.stop()
