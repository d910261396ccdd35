"""All that a program has started, and its end.

Every process that loses its parent becomes a child of the minder (a child subreaper), so nothing leaves the tree.
"""

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Iterator

_CHILD_SUBREAPER = 36  # prctl
_PAGE = resource.getpagesize()
_GONE_WITHIN = 10.0  # seconds; a process in the middle of a slow disk's call dies no sooner
_libc = ctypes.CDLL(None, use_errno=True)


def adopt() -> None:
    """Become the parent of all descendants that lose theirs."""
    _libc.prctl(ctypes.c_long(_CHILD_SUBREAPER), *map(ctypes.c_long, (1, 0, 0, 0)))


def children(pid: int) -> Iterator[int]:
    """Of one process, by all its threads; none where the kernel does not tell."""
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                yield from map(int, file.read().split())
    except OSError:  # it has ended meanwhile
        return


def usage(most: int) -> tuple[int, int]:
    """How many descendants this process has, and their memory in bytes; counting ends beyond `most`."""
    count, memory = 0, 0
    waiting = list(children(os.getpid()))
    while waiting and count <= most:
        pid = waiting.pop()
        count += 1
        memory += _memory(pid)
        waiting.extend(children(pid))
    return count, memory


def _memory(pid: int) -> int:
    """What belongs to nobody else: without libraries and shared memory."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0
    return max(0, resident - shared) * _PAGE


def end_all(inside: bool) -> bool:
    """Kill all descendants, and wait until none is left; False if one does not go.

    inside: signals of this process stay in its sandbox.  Then one kill reaches everything in there at once, and
    what is being forked at that moment, too; else it would reach the whole appliance.
    """
    until = time.monotonic() + _GONE_WITHIN
    while time.monotonic() < until:
        for pid in (-1,) if inside else _all():
            with contextlib.suppress(OSError):  # it has gone, or nobody is left
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.002)
    return False


def _all() -> list[int]:
    found, waiting = [], list(children(os.getpid()))
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children(pid))
    return found
