"""A reader who does not believe the proof can break a guarantee: the proof fails then."""

import sys
from pathlib import Path

import pytest
from crash_mutants import LACKS, Lack
from crash_points import Proof, broken_by, usable
from today import todays

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "mutation"))
from mutant import Mutant

pytestmark = pytest.mark.skipif(not usable(), reason="system calls can't be watched here")


@pytest.mark.parametrize("lack", todays(LACKS, 2), ids=lambda lack: lack.what.replace(" ", "-"))
def test_a_guarantee_that_is_taken_out_is_missed(tmp_path: Path, lack: Lack) -> None:
    """One kill at most is needed to see it, at the right point."""
    changes: dict[str, list[tuple[str, str]]] = {}
    for change in lack.changes:
        changes.setdefault(change.file, []).append((change.old, change.new))
    proof = Proof(tmp_path, Mutant(tmp_path, changes).environment, patience=10)
    try:
        assert lack.says in broken_by(proof, lack.scene, lack.program)
    finally:
        proof.close()
