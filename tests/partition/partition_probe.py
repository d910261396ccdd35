"""The whole of Paperpath, each of whose programs tries everything as soon as it has locked itself in, and then works on.

    python partition_probe.py FOLDER COMMAND ARGUMENT …     as paperpath COMMAND ARGUMENT …

For tests only: nothing that a program obeys leads here.  FOLDER is what the programs have no business with.  The
answers are lines of the log, with the event `probed`.  The program of alice's mailbox finds in here.json in its home
what it needs to try the same.
"""

import contextlib
import json
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from partition_attempts import Here, attempts

from appliance import sandbox
from appliance.cli.main import main
from appliance.door import DOORS, ROLES
from appliance.sandbox import Rules

SUPERVISOR = os.getpid()
FOLDER = Path(sys.argv[1])
ABSTRACT = f"paperpath-probe-{SUPERVISOR}"
LOCK = sandbox.lock


def here(name: str, state: Path) -> dict[str, object]:
    """What this process knows before it is locked in."""
    children = Path(f"/proc/{SUPERVISOR}/task/{SUPERVISOR}/children").read_text().split()
    others = [int(pid) for pid in children if int(pid) != os.getpid()]
    own = FOLDER / "elsewhere" / f"{name}-{os.getpid()}"
    own.touch(0o600)
    own_doors = {"queue": DOORS, "launcher": {"launch"}}.get(name, ())
    return {
        "state": str(state),
        "elsewhere": str(FOLDER / "elsewhere"),
        "yaml": os.readlink(state / "run" / "mail.yaml"),
        "victim": others[0] if others else SUPERVISOR,
        "port": PORT,
        "abstract": ABSTRACT,
        "hello": hello(state, name) if name in ROLES else "",
        "to_launcher": hello(state, "programs" if name == "local" else name) if name in ROLES else "",
        "own": str(own),
        "doors": " ".join(door for door in DOORS if door not in own_doors),
    }


def hello(state: Path, role: str) -> str:
    return f"{role} {(state / 'run' / 'tokens' / role).read_text()}"


def strangers() -> list[str]:
    """Connections with the network that this process has already: it should have none before it is locked in."""
    found = []
    for number in range(3, 256):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as one:
            if one.family != socket.AF_UNIX:
                found.append(f"a connection with {one.getpeername()} before the lock")
    return found


def probing_lock(rules: Rules, abi: int | None = None) -> list[str]:
    """Lock, and try; only in the programs themselves, not in what the launcher starts."""
    if os.getppid() != SUPERVISOR:
        return LOCK(rules, abi)
    process = Path("/proc/self/comm").read_text().strip()
    name = process.removesuffix("-1").removesuffix("-2")
    state = Path(os.environ["PROBED_STATE"])
    known = here(name, state)
    if name == "launcher":
        inside = {**known, **dict.fromkeys(("hello", "to_launcher"), hello(state, "inject")), "doors": " ".join(DOORS)}
        (state / "mail/example.org/alice/here.json").write_text(json.dumps(inside))
    before = strangers()
    lacking = LOCK(rules, abi)
    answers = dict(attempts(Here(**known)))
    line = {"program": name, "event": "probed", "pid": os.getpid(), "lacking": [*lacking, *before], "answers": answers}
    os.write(1, json.dumps(line).encode() + b"\n")
    return lacking


if __name__ == "__main__":
    outside = socket.socket(socket.AF_UNIX)
    outside.bind(b"\0" + ABSTRACT.encode())
    outside.listen()
    listener = socket.create_server(("127.0.0.1", 0))
    PORT = listener.getsockname()[1]
    os.environ["PROBED_STATE"] = sys.argv[sys.argv.index("--state") + 1]
    sandbox.lock = probing_lock
    sys.exit(main(sys.argv[2:]))
