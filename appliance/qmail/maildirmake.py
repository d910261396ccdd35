"""`maildirmake DIR`: an empty Maildir, for its owner only."""

import os
import sys

from appliance import safeio
from appliance.command import PERMANENT, TEMPORARY, die

NAME = "maildirmake"


def main() -> int:
    """Make DIR, tmp, new and cur; 0, 100 without a name, 111 if that fails (as when it exists)."""
    if len(sys.argv) != 2:
        die(PERMANENT, NAME, "usage: maildirmake DIR")
    folder = sys.argv[1]
    os.umask(0o077)
    try:
        for path in (folder, *(os.path.join(folder, sub) for sub in ("tmp", "new", "cur"))):
            os.mkdir(path, 0o700)
        safeio.sync_directory(folder)
        safeio.sync_directory(os.path.dirname(os.path.abspath(folder)))
    except OSError as error:
        die(TEMPORARY, NAME, f"cannot make {error.filename or folder}: {error.strerror}")
    return 0
