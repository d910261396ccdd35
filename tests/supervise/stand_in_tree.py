"""A supervisor with stand-in programs, as a process: `python stand_in_tree.py STATE module ...`."""

import sys
from pathlib import Path

from appliance.state import State
from appliance.supervise.main import own, supervise
from appliance.supervise.programs import Program

TABLE = {
    "steady": (
        Program("queue", "steady", 1),
        Program("local", "steady", 2, several=True),
        Program("remote", "steady", 2, several=True, pinned=("smtproutes",)),
        Program("smtpd", "steady", 3, several=True, serves=frozenset({"smtp"}), pinned=("listen",)),
        Program("config", "steady", 3),
    ),
    "broken": (Program("queue", "steady", 1), Program("local", "broken", 2)),
    "orphan": (Program("local", "orphan", 2),),
}

if __name__ == "__main__":
    state = State(Path(sys.argv[1]))
    sys.exit(supervise(state, own(state), TABLE[sys.argv[2]]))
