"""qmail's commands for operators, by their own names, one file each.

They print what qmail's print and exit as qmail's do, so that scripts go on working; the state folder
is the one of $PAPERPATH_STATE, else /var/lib/paperpath.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from appliance.state import State

USAGE, CANNOT = 100, 111  # exit statuses of all qmail commands: a mistake, and try again later


def state() -> State:
    """The state folder."""
    return State(Path(os.environ.get("PAPERPATH_STATE") or "/var/lib/paperpath").resolve())


def die(status: int, program: str, text: str) -> NoReturn:
    """Say why on stderr, and end."""
    print(f"{program}: fatal: {text}", file=sys.stderr)
    raise SystemExit(status)
