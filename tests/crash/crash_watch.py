"""Watches the calls of one program and its children; ends the one that is about to make a certain call.

The kernel asks us before each call (seccomp_unotify(2)) and the caller waits for our answer: go on, or SIGKILL.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from crash_calls import CHANGING, NAMES, ONLY_WITH

_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_GO_ON = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
PYTHON = os.path.realpath("/proc/self/exe")
# calls whose first argument is a descriptor: what it leads to is part of the point's name
_BY_DESCRIPTOR = frozenset(
    [
        *("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "ftruncate", "fallocate"),
        *("sendto", "sendmsg", "sendmmsg", "shutdown", "bind", "fsync", "fdatasync", "syncfs", "fchmod"),
    ]
)
_OWN = re.compile(r"anon_inode:|/memfd:|/dev/null")  # what only the process itself can read
_VARIABLE = (
    (re.compile(r" \(deleted\)$"), ""),
    (re.compile(r"[0-9]{5,}[^/]*"), "*"),  # names of messages in body/ and Maildirs
    (re.compile(r"^generations/.*"), "generations/*"),
    (re.compile(r"^secrets/[^/]*"), "secrets/*"),
    (re.compile(r"^mail/.*/(tmp|new|cur)(/.*)?$"), r"Maildir/\1"),
    (re.compile(r"^/.*/log$"), "the log"),
    (re.compile(r"^pipe:.*"), "a pipe"),
)


class Point(NamedTuple):
    """A call, by which program (`launcher's child` is one that it forked), and what it is made on, if it has a descriptor."""

    program: str
    call: str
    on: str


class Watch:
    """The armed point, and what was seen; one for each program, whichever of its processes runs."""

    def __init__(self, program: str, root: str) -> None:
        self.program = program
        self.made: list[Point] = []  # in their order, since it was armed
        self.unknown: set[str] = set()  # calls that no table has
        self.latest = 0.0  # when the last call was made
        self.hit: Point | None = None
        self.victim = 0  # the process that was killed last
        self.killed = threading.Event()
        self._deciding = threading.Lock()
        self._root = root + "/"
        self._left = 0  # calls until the kill; 0: never
        self._kind: Point | None = None  # only these are counted
        self._sockets: dict[str, str] = {}

    def arm(self, number: int, kind: Point | None = None) -> None:
        """Before its call of this number from now on, of this kind if one is given, the process that makes it is killed.

        0: only count.
        """
        self.hit, self._left, self._kind = None, number, kind
        self.killed.clear()
        self.made = []

    def disarm(self) -> Point | None:
        """The point where it was killed, if it came to that."""
        with self._deciding:
            self._left = 0
            return self.hit

    def serve(self, pid: int, listener: int, ended: Callable[[], None]) -> None:
        """Answer for a process and its children until the last of them has ended; `ended` is told when the first one has."""
        pidfd = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        watched = {pidfd, listener}
        while watched:
            for fd, event in poll.poll():
                if fd == listener and event & select.POLLIN:
                    self._answer(pid, listener)
                    continue
                poll.unregister(fd)
                os.close(fd)
                watched.remove(fd)
                if fd == pidfd:
                    ended()

    def _answer(self, main: int, listener: int) -> None:
        notification = bytearray(_NOTIFICATION.size)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the caller was killed meanwhile
            fcntl.ioctl(listener, _RECEIVE, notification)
            cookie, thread, _, number, _, _, *arguments = _NOTIFICATION.unpack(notification)
            if self._dies(main, thread, number, arguments):
                return
            fcntl.ioctl(listener, _SEND, _ANSWER.pack(cookie, 0, 0, _GO_ON))

    def _dies(self, main: int, thread: int, number: int, arguments: list[int]) -> bool:
        process = _process_of(main, thread)
        if process is None or (process != main and os.readlink(f"/proc/{process}/exe") != PYTHON):
            return False  # a mailbox's program
        name = NAMES.get(number, f"number {number}")
        if name not in CHANGING:
            self.unknown.add(name)
        on = self._object(process, name, arguments)
        if on is None:
            return False
        point = Point(self.program if process == main else f"{self.program}'s child", name, on)
        self.made.append(point)
        self.latest = time.monotonic()
        with self._deciding:
            if self._left and self._kind in (None, point):
                self._left -= 1
                if not self._left:
                    self.hit, self.victim = point, process
                    with contextlib.suppress(ProcessLookupError):  # the scene has ended it itself
                        os.kill(process, signal.SIGKILL)
                    self.killed.set()
                    return True
        return False

    def _object(self, process: int, name: str, arguments: list[int]) -> str | None:
        """What a call is made on; None: nothing that outlives the process."""
        if name in ONLY_WITH or name not in _BY_DESCRIPTOR:
            return ""
        try:
            target = os.readlink(f"/proc/{process}/fd/{arguments[0] & 0xFFFFFFFF}")
        except OSError:
            return ""
        if _OWN.match(target):
            return None
        if target.startswith("socket:"):
            return self._socket(target)
        target = f"{target}/".removeprefix(self._root).removesuffix("/") or "the state folder"
        for pattern, by in _VARIABLE:
            target = pattern.sub(by, target)
        return target

    def _socket(self, target: str) -> str:
        if target not in self._sockets:
            with open("/proc/net/unix") as table:
                ours = next((line for line in table if line.split()[6] == target[8:-1]), None)
            path = ours.split()[7:] if ours else ["the network"]
            self._sockets[target] = os.path.basename(path[0]) if path else "a door"
        return self._sockets[target]


def _process_of(main: int, thread: int) -> int | None:
    if thread == main or os.path.exists(f"/proc/{main}/task/{thread}"):
        return main
    try:
        with open(f"/proc/{thread}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))
    except OSError:
        return None
