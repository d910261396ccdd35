"""`qmail-newmrh`: control/morercpthosts.cdb from control/morercpthosts, in one step.

It works in $QMAILHOME, a tree such as /var/qmail; the state folder's control/ is compiled from the YAML,
both files at once, and needs no help.
"""

import sys

from appliance import rcpthosts
from appliance.command import PERMANENT, TEMPORARY, die
from appliance.qmail import compiled, home, replace

NAME = "qmail-newmrh"


def main() -> int:
    """Build it; 0, 100 with an argument, 111 if it can't be: then nothing has changed."""
    if len(sys.argv) > 1:
        die(PERMANENT, NAME, "it takes no arguments; $QMAILHOME names the folder that holds control/")
    folder = home() / "control"
    try:
        if compiled(folder):
            return 0
        with (folder / "morercpthosts").open("rb") as lines:
            database, temporary = folder / "morercpthosts.cdb", folder / "morercpthosts.tmp"
            replace(database, temporary, lambda file: rcpthosts.build_file(lines, file))
    except OSError as error:
        die(TEMPORARY, NAME, f"{error.filename or folder}: {error.strerror}")
    except ValueError as error:
        die(TEMPORARY, NAME, str(error))
    return 0
