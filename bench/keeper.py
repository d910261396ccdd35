"""The parent of one contestant: gives it a cgroup and a mount namespace, and adopts what it leaves behind.

Runs as a program of its own (`python -I -S keeper.py JSON`) and imports nothing else of the benchmark. As a child
subreaper it inherits daemons that detach themselves, so the whole tree stays below it and its CPU time is complete.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    arguments = [value.encode() if value else None for value in (source, target, kind)]
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() or None), f"mount on {target}")


def _private_view(overlays: list[tuple[str, str]], binds: list[tuple[str, str]]) -> None:
    if not overlays and not binds:
        return
    _checked(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE, "")
    for folder, target in overlays:
        _mount("overlay", target, "overlay", 0, f"lowerdir={folder}:{target}")
    for folder, target in binds:
        _mount(folder, target, "", _MS_BIND, "")


def _end_children(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # a signal handler's signature
    """The benchmark is gone, or gave up: end what it started, adopted daemons too."""
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as children:
        for pid in children.read().split():
            os.kill(int(pid), signal.SIGTERM)


def main(orders: dict[str, Any]) -> int:
    """Start the command and stay until no process of it is left."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    for path in orders["cgroups"]:
        with open(path, "w") as procs:
            procs.write(str(os.getpid()))
    with open(orders["log"], "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)  # where it also says why a namespace can't be had
    _private_view(orders["overlays"], orders["binds"])
    environment = {**os.environ, **orders["environment"]}
    subprocess.Popen(orders["command"], cwd=orders["folder"], env=environment, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, _end_children)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
