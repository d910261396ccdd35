"""`qmail-newu`: users/cdb from users/assign, in one step: the old one stays until the new one is whole.

It works in $QMAILHOME, a tree such as /var/qmail; without it in the state folder, whose users/ is compiled
from the YAML and never changed: there it only says whether users/cdb is what users/assign asks for.
"""

import io
import sys
from pathlib import Path

from appliance import users
from appliance.command import PERMANENT, TEMPORARY, die
from appliance.qmail import compiled, home, replace

NAME = "qmail-newu"


def main() -> int:
    """Build it; 0, 100 with an argument, 111 if it can't be: then nothing has changed."""
    if len(sys.argv) > 1:
        die(PERMANENT, NAME, "it takes no arguments; $QMAILHOME names the folder that holds users/")
    folder = home() / "users"
    try:
        if compiled(folder):
            return _same(folder)
        with (folder / "assign").open("rb") as lines:
            replace(folder / "cdb", folder / "cdb.tmp", lambda file: users.build_file(lines, file))
    except OSError as error:
        die(TEMPORARY, NAME, f"{error.filename or folder}: {error.strerror}")
    except ValueError as error:
        die(TEMPORARY, NAME, str(error))
    return 0


def _same(folder: Path) -> int:
    with (folder / "assign").open("rb") as lines:
        made = io.BytesIO()
        users.build_file(lines, made)
    if made.getvalue() != (folder / "cdb").read_bytes():
        die(TEMPORARY, NAME, f"{folder} is compiled from the YAML: change `users:` there, and it is built by itself")
    return 0
