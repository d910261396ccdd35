"""Nothing that was answered 250 is lost, whichever call a program was about to make when it ended."""

from pathlib import Path

import crash_report
import pytest
from crash_points import Proof, points, usable
from crash_scenes import SCENES
from today import share

SHARES = 16  # days after which every point has had its turn; `make crash` runs them all


@pytest.mark.skipif(not usable(), reason="system calls can't be watched here")
def test_a_kill_at_any_call_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the points of all programs a share, another one each day: every message is where it belongs, whole."""
    mine = share(SHARES)
    proof = Proof(tmp_path)
    try:
        outcomes = [outcome for scene in SCENES for outcome in points(proof, scene, mine)]
    finally:
        proof.close()
    with capsys.disabled():  # the figures are what people want to see
        print(f"\n make crash SHARE={mine[0]}/{mine[1]}: {crash_report.summary(outcomes)}")
    assert [str(outcome) for outcome in outcomes if outcome.wrong] == []
    assert proof.unknown | proof.unordered == set()
    reached = sum(outcome.point is not None for outcome in outcomes)
    assert reached > 50
    assert reached > 0.9 * len(outcomes)
