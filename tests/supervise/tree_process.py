"""A running supervisor with stand-in programs, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from appliance import safeio
from appliance.state import State

PATIENCE = 10  # how much slower a busy machine may be
HERE = Path(__file__).resolve().parent


def until(condition: Callable[[], object], seconds: float, what: str) -> object:
    """Wait for a condition; fail with `what` if it does not come true in time (that of a quiet machine)."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return value


def generation(state: State, name: str, **files: str) -> None:
    """Put a generation in force that has these control files, and `me`."""
    control = state.generations / name / "control"
    control.mkdir(parents=True)
    for file, content in ({"me": "mx.example.org\n"} | files).items():
        (control / file).write_text(content)
    safeio.replace_link(state.generation, name)


class Tree:
    """`stand_in_tree.py` as a process of its own, with its log."""

    def __init__(self, folder: Path, table: str, prefix: tuple[str, ...] = ()) -> None:
        self.state = State(folder / "state")
        self.state.root.mkdir(exist_ok=True)
        self._log = folder / "log"
        self._command = [*prefix, sys.executable, HERE / "stand_in_tree.py", self.state.root, table]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Tree":
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def log(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self._log.read_bytes().rpartition(b"\n")[0].splitlines()]
        return [line for line in lines if line["event"] == event]

    def pids(self) -> dict[str, int]:
        """The programs that have started, by name, as the kernel has them."""
        assert self.process is not None
        found = {}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                found[Path(f"/proc/{child}/comm").read_text().strip()] = int(child)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def wait_for(self, *names: str) -> dict[str, int]:
        """Until exactly these programs run and have said that they started."""

        def there() -> dict[str, int] | None:
            pids = self.pids()
            started = {line["pid"] for line in self.log("started")}
            return pids if pids.keys() == set(names) and started.issuperset(pids.values()) else None

        found = until(there, 10, f"{names} running")
        assert isinstance(found, dict)
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def alive(pid: int) -> bool:
    """Is the process there, and more than a zombie?"""
    try:
        os.kill(pid, 0)
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
