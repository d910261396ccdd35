"""The benchmark of users/cdb."""

import re
import subprocess
import sys
from pathlib import Path


def test_users_are_built_and_looked_up():
    """A thousand of them: each figure is there."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "bench.users", "1000"], cwd=root, capture_output=True, text=True, check=True
    )
    for kind in ("built", "an exact entry", "a wildcard", "900 dashes", "memory of its own"):
        assert re.search(rf"^{kind}: [\d.]+ ", done.stdout, re.MULTILINE), kind
