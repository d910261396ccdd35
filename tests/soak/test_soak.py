"""Mail from all sides while everything goes wrong, a few seconds of it: `make soak` is the same for ten minutes."""

import sys
from pathlib import Path

import pytest
from soak import good, run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "mutation"))
from mutant import Mutant

CHANGES = {
    # a Maildir that now and then loses what it has reported; a next host that gets lines without their dots
    "local/maildir.py": [
        ('os.rename(letter.folder + b"/tmp"', 'hash(letter.name) % 5 == 0 or os.rename(letter.folder + b"/tmp"')
    ],
    "remote/data.py": [('if b"\\n." in content:', "if False:")],
}


def test_what_is_accepted_is_delivered_bounced_or_queued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Byte for byte, whatever is killed and whatever next hosts do; each copy too many has its reason."""
    figures = run(tmp_path / "soak", seconds=5, seed=1)
    with capsys.disabled():  # the figures are what people want to see
        print("\n", figures)
    assert good(figures)
    assert figures["letters_accepted"] > 50
    assert "whole tree" in figures["kills"]


def test_the_audit_notices_what_is_lost_and_what_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a Maildir that loses mail and a client that does not stuff dots: shown to fail."""
    for name, value in Mutant(tmp_path, CHANGES).environment.items():
        monkeypatch.setenv(name, value)
    figures = run(tmp_path / "soak", seconds=1, seed=1)
    assert not good(figures)
    assert any("at alice" in each for each in figures["lost"])
    assert any(each.endswith("at partner: not as sent") for each in figures["wrong"])
