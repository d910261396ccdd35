"""Where raw figures are kept, and lines of progress apart from the report on stdout."""

import sys
from pathlib import Path

RESULTS = Path("build/bench")


def say(line: str) -> None:
    """Show a line at once."""
    print(line, file=sys.stderr, flush=True)
