"""A contestant's whole process tree: start it, count its CPU time and memory, end it.

CPU time comes from a cgroup of its own (v2 `cpu.stat`, or v1 `cpuacct.usage`), where one can be made. Else it is the
sum of /proc/PID/stat over all living processes, each with the time of the children it has waited for; the keeper waits
for orphans, so only children of a parent that ignores SIGCHLD escape.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from bench.contestant import Start

_KEEPER = Path(__file__).with_name("keeper.py")
_TICK = os.sysconf("SC_CLK_TCK")


class Cgroup:
    """An accounting group of this machine's cgroup file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.procs = folder / "cgroup.procs"

    @classmethod
    def make(cls, name: str) -> "Cgroup | None":
        """A new group, or None if this user may not make one here."""
        root = Path("/sys/fs/cgroup")
        for parent, meter in ((root / "cpuacct", "cpuacct.usage"), (root, "cpu.stat")):
            if not (parent / "cgroup.procs").exists():
                continue
            with suppress(OSError):
                group = cls(parent / name)
                if (parent / name / meter).exists():
                    return group
                group.remove()
        return None

    def cpu_seconds(self) -> float:
        usage = self._folder / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        lines = (self._folder / "cpu.stat").read_text().splitlines()
        return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith("usage_usec"))

    def members(self) -> list[int]:
        return [int(line) for line in self.procs.read_text().split()]

    def remove(self) -> None:
        """Remove the group once its last process is gone."""
        for _ in range(100):
            with suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.02)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (state, parent, …). Raises OSError when it is gone."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def descendants(root: int) -> list[int]:
    """All living processes below `root`, parents first."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
    found, look = [], [root]
    while look:
        below = children.get(look.pop(), [])
        found += below
        look += below
    return found


def sampled_cpu_seconds(root: int) -> float:
    """CPU time of `root` and all below it, with the children they have waited for."""
    ticks = 0
    for pid in (root, *descendants(root)):
        with suppress(OSError):
            ticks += sum(int(value) for value in _stat(pid)[11:15])  # utime stime cutime cstime
    return ticks / _TICK


def proportional_set_size(pids: list[int]) -> int:
    """Memory of these processes in bytes, shared pages divided among their users."""
    kib = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kib += int(line.split()[1])
    return kib * 1024


class ProcessTree:
    """One running contestant."""

    def __init__(self, start: Start, folder: Path, *, use_cgroup: bool = True) -> None:
        self.log = folder / "output.log"
        self._cgroup = Cgroup.make(f"paperpath-bench-{os.getpid()}-{time.monotonic_ns()}") if use_cgroup else None
        orders = {
            "cgroups": [str(self._cgroup.procs)] if self._cgroup else [],
            "overlays": start.overlays,
            "binds": start.binds,
            "command": start.command,
            "environment": start.environment,
            "folder": str(folder),
            "log": str(self.log),
        }
        self._keeper = subprocess.Popen([sys.executable, "-I", "-S", str(_KEEPER), json.dumps(orders)])

    @property
    def method(self) -> str:
        return "cgroup" if self._cgroup else "/proc"

    def alive(self) -> bool:
        return self._keeper.poll() is None

    def members(self) -> list[int]:
        """All its processes, without the keeper."""
        pids = self._cgroup.members() if self._cgroup else descendants(self._keeper.pid)
        return [pid for pid in pids if pid != self._keeper.pid]

    def cpu_seconds(self) -> float:
        return self._cgroup.cpu_seconds() if self._cgroup else sampled_cpu_seconds(self._keeper.pid)

    def memory(self) -> int:
        return proportional_set_size(self.members())

    def stop(self, patience: float = 10.0) -> None:
        """SIGTERM to the top processes, SIGKILL to what is left when patience ends."""
        for pid in descendants(self._keeper.pid):
            with suppress(OSError):
                if int(_stat(pid)[1]) == self._keeper.pid:
                    os.kill(pid, signal.SIGTERM)
        try:
            self._keeper.wait(patience)
        except subprocess.TimeoutExpired:
            self._kill()
        if self._cgroup:
            self._cgroup.remove()

    def _kill(self) -> None:
        for _ in range(50):
            for pid in self.members():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._keeper.wait(0.1)
                return
        self._keeper.kill()
        self._keeper.wait()
