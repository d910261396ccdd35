"""With a guarantee taken out of the programs, the failing calls find that mail is lost, or refused, or waits for ever."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "mutation"), str(HERE.parent / "end_to_end")]
import appliance_process  # noqa: E402
from fault_run import Faults  # noqa: E402
from fault_trace import Point, usable  # noqa: E402
from mutant import Mutant  # noqa: E402
from today import todays  # noqa: E402

pytestmark = pytest.mark.skipif(not usable(), reason="strace can't trace a running process here")

_ACCEPT = "            connection, _ = self._door.accept()\n"
_ENDS = """\
            try:
                connection, _ = self._door.accept()
            except OSError:
                self._door.close()
                self._door = socket.socketpair()[0].dup()
                return
"""
_FOR_GOOD = "from appliance.errors import Permanent\n    return Permanent(550, enhanced, text, failure)"
# what is taken out, and the fault by which it shows
MUTANTS = {
    "a mailbox on a full disk is a failure for good": (
        {"local/recipient.py": [("return Temporary(code, enhanced, text, failure)", _FOR_GOOD)]},
        "local",
        Point("writev", "ENOSPC", 1),
    ),
    "an error of accept ends the listener": (
        {"launcher/porch.py": [(_ACCEPT, _ENDS)]},
        "launcher",
        Point("accept4", "EMFILE", 1),
    ),
}


@pytest.mark.parametrize("name", todays(list(MUTANTS), 2))
def test_a_fault_shows_what_was_taken_out(name, tmp_path, monkeypatch):
    """Mail that is nowhere at the end, because it was bounced or because nobody delivers it any more."""
    changes, program, point = MUTANTS[name]
    for variable, value in Mutant(tmp_path, changes).environment.items():
        monkeypatch.setenv(variable, value)
    faults = Faults(tmp_path / "faults")
    monkeypatch.setattr(appliance_process, "PATIENCE", 0.5)
    try:
        assert faults.attempted(program, point).trouble.startswith("missing")
    finally:
        faults.end()


SYNCS = {
    "a sync of the journal that failed is taken for good": (
        {"queue/durable.py": [("            raise Unavailable(f\"journal: {error}\") from error\n", "            del error\n")]},
        "test_no_250_while_syncs_fail_and_nothing_lost_by_a_kill_after"),
    "a fold that failed is forgotten": (
        {"queue/durable.py": [("        self._spoiled = True  # a fold that fails", "        # a fold that fails")]},
        "test_nothing_is_promised_after_a_fold_whose_sync_failed"),
}  # fmt: skip


@pytest.mark.parametrize("name", todays(list(SYNCS), 2))
def test_a_test_of_syncs_shows_what_was_taken_out(name, tmp_path):
    """It passes with the programs as they are, and fails with these."""
    changes, test = SYNCS[name]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        HERE / "test_faults_sync.py",
        "-k",
        test,
    ]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=Mutant(tmp_path, changes).environment
    )
    assert done.returncode == 1, done.stdout[-2000:]
    assert f"FAILED tests/faults/test_faults_sync.py::{test}" in done.stdout
