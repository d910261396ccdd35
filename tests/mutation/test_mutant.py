"""What the mutation tests stand on: a mutant is imported, and differs in just what was said."""

import subprocess
import sys
from pathlib import Path

import pytest
from mutant import Mutant


def test_a_mutant_is_what_its_programs_import(tmp_path: Path) -> None:
    """The copy is imported instead of the original, and nothing but the change differs."""
    mutant = Mutant(tmp_path, {"state.py": [("class State", "class State")]})
    command = [sys.executable, "-c", "import appliance.state; print(appliance.state.__file__)"]
    printed = subprocess.run(command, env=mutant.environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(mutant.root / "appliance" / "state.py")


def test_a_change_that_changes_nothing_is_an_error(tmp_path: Path) -> None:
    """Else the code could move on and its mutation test would go on to pass."""
    with pytest.raises(AssertionError, match="0 times"):
        Mutant(tmp_path, {"state.py": [("no such text", "")]})
