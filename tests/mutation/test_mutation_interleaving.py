"""What was mended in the queue's order of things is noticed when it is taken out again."""

import subprocess
import sys
from pathlib import Path

import pytest
from mutant import HERE, Mutant

MUTANTS = [
    pytest.param(
        "interleaving", "queue/feed.py", "<= asked | self._messages.keys()", "<= {row.message for row in rows}",
        id="a message that leaves memory while its row is read is not read again",
    ),
    pytest.param(
        "by_hand_races", "queue/postmaster.py", "(message in self.held) is not (due == NEVER)", "message in self.held and due != NEVER",
        id="a release does not count while a report is written",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("test", "file", "text", "instead"), MUTANTS)
def test_an_order_that_loses_mail_is_noticed(tmp_path: Path, test: str, file: str, text: str, instead: str) -> None:
    """Some life of the queue does not end as it must."""
    mutant = Mutant(tmp_path, {file: [(text, instead)]})
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'run'}"]
    command += [str(HERE / f"tests/queue/test_queue_{test}.py")]
    done = subprocess.run(
        command, cwd=HERE, env=mutant.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stdout[-2000:]
    assert "AssertionError" in done.stdout
