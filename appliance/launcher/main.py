"""The launcher program: a minder for each connection at the launch door."""

import contextlib
import ctypes
import os
import select
import signal
import socket
import traceback
from typing import NoReturn

from appliance import door, log, safeio, sandbox
from appliance.control import Control
from appliance.door import Guard
from appliance.launcher import descendants, minder, reach
from appliance.launcher.limits import networked
from appliance.launcher.porch import Porch
from appliance.state import State

CANNOT = 111  # the exit status that asks to be started again later, as qmail's
MOST = 200  # minders at a time; `local` starts no more than control/concurrencylocal
_SET_NAME = 15  # prctl
_libc = ctypes.CDLL(None, use_errno=True)


def main(state: State) -> int:
    """Serve until SIGTERM; 0, or 111 if the state folder can't be used."""
    log.setup("launcher")
    os.umask(0o077)
    stop, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)  # the byte in the pipe is what wakes us
    try:
        guard = Guard(state, "launch")
        generation = Control(state).current()
        state.scratch.mkdir(mode=0o700, exist_ok=True)
        for left in state.scratch.iterdir():
            minder.empty(left)
            left.rmdir()
        state.mail.mkdir(mode=0o700, exist_ok=True)
        safeio.keep_private(state.mail)
        listener = _listen(state)
        lacking = sandbox.lock(reach.around(state, bool(networked(generation))))
    except OSError as error:
        log.trouble("launcher: cannot start", error)
        return CANNOT
    for missing in lacking:
        log.warning(missing)
    log.started(generation.name)
    Launcher(state, guard, listener, stop).run()
    log.stopping("signal")
    log.stopped()
    return 0


def _listen(state: State) -> socket.socket:
    listener = door.make(state.door("launch"))
    listener.listen(64)
    return listener


class Launcher:
    """Forks, and buries what has ended."""

    def __init__(self, state: State, guard: Guard, door: socket.socket, stop: int) -> None:
        self._state = state
        self._guard = guard
        self._door = door
        self._porch = Porch(door, guard)
        self._stop = stop
        self._minders: set[int] = set()

    def run(self) -> None:
        """Serve until a signal says stop.  Minders go on without us; they end when `local` does."""
        descendants.adopt()
        porch = self._porch
        while True:
            watched: list[int | socket.socket] = [self._stop]
            if len(self._minders) < MOST:
                watched += porch.watched()
            ready, _, _ = select.select(watched, [], [], porch.patience)
            if self._stop in ready and {signal.SIGTERM, signal.SIGINT} & set(os.read(self._stop, 4096)):
                return
            self._bury()
            for connection in porch.known(ready):
                with connection:
                    self._fork(connection)

    def _fork(self, connection: socket.socket) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            log.trouble("launcher: cannot start a process; mail for programs is deferred", error)
            return
        if pid:
            self._minders.add(pid)
        else:
            self._become_minder(connection)

    def _become_minder(self, connection: socket.socket) -> NoReturn:
        status = 111
        try:
            minder.quiet()
            self._porch.close()
            _libc.prctl(_SET_NAME, b"minder", 0, 0, 0)
            minder.serve(connection, self._guard, self._state)
            status = 0
        except (OSError, ValueError) as error:
            log.warning(f"launcher: a connection ended early: {error}")
        except BaseException:  # noqa: BLE001  # this is the process's last frame: nothing else would report it
            log.trouble("launcher: a minder ended by an error nobody foresaw", traceback.format_exc())
        finally:
            os._exit(status)

    def _bury(self) -> None:
        """Collect what has ended; what a minder left behind that was killed is killed, too."""
        orphaned = False
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                orphaned = orphaned or status != 0
                self._minders.discard(pid)
                scratch = self._state.scratch / str(pid)
                if status:
                    minder.empty(scratch)
                with contextlib.suppress(OSError):  # not a minder's, or its program left something that can't go
                    scratch.rmdir()
        if orphaned:
            for pid in set(descendants.children(os.getpid())) - self._minders:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
