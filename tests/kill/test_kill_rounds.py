"""Nothing that was answered 250 is ever lost, whatever is killed and whenever."""

from pathlib import Path

import pytest
from kill_rounds import torture


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs and the whole tree get kill -9, 200 times under load: every accepted message is where it belongs."""
    figures = torture(tmp_path / "appliance", rounds=200, seed=1)
    with capsys.disabled():  # the figures are what people want to see
        print("\n", figures)
    assert figures["lost"] == 0, figures["examples_lost"]
    assert figures["misplaced"] == 0
    assert figures["exit_status"] == 0
    assert figures["accepted"] > 1000
    # a duplicate needs a kill between a delivery and its report's commit; more than one a kill were needless
    assert figures["duplicated"] < 10 * figures["rounds"]
