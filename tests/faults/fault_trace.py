"""strace(1) at a running program: what it calls, and a call of it that fails."""

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple, Self

from fault_table import errors, kind

_LINE = re.compile(r"^(\d+) +([a-z0-9_]+\(.*)")


class Call(NamedTuple):
    """A system call: the how-manyth of its name in its thread, and what its descriptor is."""

    name: str
    number: int
    kind: str


class Point(NamedTuple):
    """A fault: the call that fails, how, and from which call of a thread on; lasting: so do all that follow."""

    call: str
    error: str
    number: int
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.call} {self.error} at {self.number}{'+' if self.lasting else ''}"


def calls_of(file: Path) -> list[tuple[Call, str]]:
    """What strace has written to a file with -f: the calls in the order of their beginnings, each with its line."""
    counts: dict[tuple[str, str], int] = {}
    calls = []
    for match in filter(None, map(_LINE.match, file.read_text(errors="replace").splitlines())):
        thread, line = match.groups()
        name = line.partition("(")[0]
        counts[thread, name] = number = counts.get((thread, name), 0) + 1
        calls.append((Call(name, number, kind(line)), line))
    return calls


class Trace:
    """strace, from `with` to its end. Raises RuntimeError if it can't attach."""

    def __init__(self, pid: int, file: Path, *arguments: str) -> None:
        self._file = file
        command = ["strace", "-f", "-yy", "-s", "0", "-p", str(pid), "-o", str(file), *arguments]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if "attached" not in said:
            self._process.wait()
            self._process.stderr.close()
            raise RuntimeError(f"strace can't attach: {said}")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stderr is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # the kernel lets go what it traces when it ends
            self._process.kill()
            self._process.wait()
        self._process.stderr.close()

    def calls(self) -> list[Call]:
        """What was called."""
        return [call for call, _ in calls_of(self._file)]

    @property
    def injected(self) -> int:
        """How often the fault has happened."""
        return self._file.read_text(errors="replace").count("(INJECTED)")


def injecting(pid: int, file: Path, point: Point) -> Trace:
    """A program with a fault in it; the point's call may be several, with commas."""
    when = f"{point.number}{'+' if point.lasting else ''}"
    return Trace(pid, file, "-e", f"trace={point.call}", "-e", f"inject={point.call}:error={point.error}:when={when}")


def points(calls: list[Call]) -> list[Point]:
    """Every fault that is possible, once each; and lasting ones, where nothing of that name is beyond it."""
    single = dict.fromkeys(
        Point(call.name, error, call.number) for call in calls for error in errors(call.name, call.kind) or ()
    )
    lasting: list[Point] = []
    for name in dict.fromkeys(call.name for call in calls):
        possible = [set(errors(name, call.kind) or ()) for call in calls if call.name == name]
        beyond = set.intersection(*possible) - {"EINTR", "EAGAIN"}
        lasting += [Point(name, error, 1, lasting=True) for error in sorted(beyond)]
    return [*single, *lasting]


def usable() -> bool:
    """May a running process be traced here?"""
    if shutil.which("strace") is None:
        return False
    with subprocess.Popen(["sleep", "10"]) as process:
        done = subprocess.run(
            ["timeout", "1", "strace", "-p", str(process.pid)], check=False, capture_output=True, text=True
        )
        process.kill()
    return "attached" in done.stderr
