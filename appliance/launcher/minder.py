"""One program line, from the request to the answer, in a process of its own that outlives the program.

It watches the program's output, its time, its processes, and the connection to `local`; at the end, however that
comes, it kills all that the program has started.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import time
from pathlib import Path

from appliance import launch, log, sandbox
from appliance.control import Control
from appliance.door import Guard
from appliance.launch import Outcome, Request
from appliance.launcher import descendants, reach
from appliance.launcher.limits import Limits, networked
from appliance.launcher.program import CannotStart, Command, start
from appliance.state import State

LOOK = 0.1  # seconds between two looks at processes and memory
WROTE = 16 * 1024 * 1024  # bytes of output after which a program has lost its mind
_HELLO_WITHIN = 10.0  # seconds
_INHERITED = ("TZ", "LANG", "LC_ALL", "UV_USE_IO_URING")


class Refused(Exception):
    """The program is not started; says why."""


def serve(connection: socket.socket, guard: Guard, state: State) -> None:
    """Answer one connection. Raises OSError, ValueError, PermissionError: it was not `local`, or it is gone."""
    connection.settimeout(_HELLO_WITHIN)
    (hello, frame, *_), stdin = launch.receive(connection)
    guard.role(hello)
    connection.setblocking(True)
    descendants.adopt()
    scratch = state.scratch / str(os.getpid())
    try:
        outcome = _carry_out(connection, launch.decode_request(frame), stdin, state, scratch)
    except (Refused, CannotStart) as error:
        outcome = Outcome(b"Z", str(error).encode(), b"")
    except (OSError, ValueError) as error:
        log.trouble("launcher: a program could not be started, its mail is deferred", error)
        outcome = Outcome(b"Z", b"the launcher is in trouble", b"")
    if outcome is not None:
        connection.sendall(launch.encode_outcome(outcome))
    empty(scratch)


def _carry_out(connection: socket.socket, request: Request, stdin: int, state: State, scratch: Path) -> Outcome | None:
    """None if `local` hung up. Raises Refused, OSError, ValueError."""
    generation = Control(state).current()
    limits = Limits.of(generation)
    home = home_of(state, request.home)
    network = os.fsencode(home.relative_to(os.path.realpath(state.root))) in networked(generation)
    scratch.mkdir(mode=0o700)
    control = generation.folder / "control"
    rules, looking = (reach.of_a_program(state, home, scratch, control, network, proc) for proc in (False, True))
    command = Command(
        request.command,
        os.fsdecode(request.home),
        (*_surroundings(state, scratch), *request.environment),
        limits,
        rules,
    )
    inside = _lock(looking)
    os.lseek(stdin, 0, os.SEEK_SET)
    output, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(write, True)
    try:
        pid = start(command, stdin, write)
    finally:
        os.close(write)
    return Watch(connection, pid, output, limits).until_the_end(inside)


def home_of(state: State, home: bytes) -> Path:
    """The folder that a home really is: somewhere below that of all mailboxes. Raises Refused, OSError."""
    real = os.path.realpath(os.fsdecode(home), strict=True)
    if not real.startswith(os.path.realpath(state.mail) + "/"):
        raise Refused("its home is not below the folder of all mailboxes")
    return Path(real)


def _lock(rules: sandbox.Rules) -> bool:
    """Lock this process in; return whether its signals stay inside. Raises OSError."""
    parent = os.getppid()
    os.kill(parent, 0)
    sandbox.lock(rules)
    if sandbox.kernel_abi() < 6:
        return False
    try:
        os.kill(parent, 0)
    except PermissionError:
        return True
    return False


def _surroundings(state: State, scratch: Path) -> list[bytes]:
    """The environment besides what qmail-local gives."""
    found = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    path = dict.fromkeys([reach.binaries(), "/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"])
    found |= {"PATH": ":".join(path), "TMPDIR": str(scratch), "PAPERPATH_STATE": os.path.abspath(state.root)}
    return [os.fsencode(f"{name}={value}") for name, value in found.items()]


class Watch:
    """A running program."""

    def __init__(self, connection: socket.socket, pid: int, output: int, limits: Limits) -> None:
        self._connection = connection
        self._pid = pid
        self._output = output
        self._limits = limits
        self._kept = b""
        self._wrote = 0
        self._gone = False  # whoever asked for it

    def until_the_end(self, inside: bool) -> Outcome | None:
        """Watch, then end all that is left; None if nobody waits for the answer."""
        excess = self._watch()
        status = None if excess or self._gone else os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if not descendants.end_all(inside):
            log.warning("launcher: a program's process can't be killed; it waits for a disk or a network file system")
        while self._read():
            pass
        if self._gone:
            return None
        if status is None:
            return Outcome(b"L", excess.encode(), self._kept)
        return Outcome(b"S" if status < 0 else b"E", b"%d" % abs(status), self._kept)

    def _watch(self) -> str:
        """Return when the program has ended, nobody waits for it, or it goes beyond a limit: which one."""
        until = time.monotonic() + self._limits.time
        ended = os.pidfd_open(self._pid)
        poll = select.poll()
        for fd in (ended, self._output, self._connection.fileno()):
            poll.register(fd, select.POLLIN)
        looked = time.monotonic()
        while True:
            ready = [fd for fd, _ in poll.poll(LOOK * 1000)]
            if self._connection.fileno() in ready:
                self._gone = True
                return ""
            if self._output in ready and not self._read():
                poll.unregister(self._output)
            if ended in ready:
                return ""
            now = time.monotonic()
            if now > until:
                return f"it ran longer than {self._limits.time} s"
            if self._wrote > WROTE:
                return f"it wrote more than {WROTE} bytes of output"
            if now - looked >= LOOK:
                looked = now
                if excess := self._look():
                    return excess

    def _look(self) -> str:
        """Bury orphans; what they are too many of, if anything."""
        while True:
            # not the program itself: its end is asked for later
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid == self._pid:
                break
            os.waitpid(found.si_pid, 0)
        count, memory = descendants.usage(self._limits.processes)
        if count > self._limits.processes:
            return f"it started more than {self._limits.processes} processes"
        if memory > self._limits.memory:
            return f"it used more than {self._limits.memory} bytes of memory"
        return ""

    def _read(self) -> bool:
        """Take some output, keep the beginning; False at its end, or if there is none now."""
        try:
            data = os.read(self._output, 65536)
        except BlockingIOError:
            return False
        self._kept += data[: launch.OUTPUT - len(self._kept)]
        self._wrote += len(data)
        return bool(data)


def empty(scratch: Path) -> None:
    """Remove what a program left in its TMPDIR, whatever modes it has given it; the folder itself stays."""
    with contextlib.suppress(OSError):
        names = os.listdir(scratch)
        for name in names:
            path = scratch / name
            for folder, _, _ in os.walk(path):
                os.chmod(folder, 0o700)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def quiet() -> None:
    """Signals for the launcher are not the minder's: it goes on until its program has ended."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
