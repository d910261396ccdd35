"""supervisord as a library: our log, our table, and no waiting.

Stock supervisord looks at its children once a second; here a signal wakes it, and it sleeps only
until something is due.
"""

import os
import signal
import tempfile
import time
from collections.abc import Iterable
from typing import Any

from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions, signame
from supervisor.poller import PollPoller
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor

from appliance import log
from appliance.control import Control, Generation
from appliance.state import State
from appliance.supervise.process import Single
from appliance.supervise.programs import Program, processes
from appliance.supervise.users import Users

NEXT_START = "hardening.users is another one now; it counts at the next start"
NEEDS_ROOT = f"hardening.users: only root can give each program a user of its own; all run as uid {os.geteuid()}"
IDLE = 1.0  # seconds between two looks at the active generation
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
FORWARDED = {signal.SIGHUP: "config", signal.SIGALRM: "queue"}  # look at the YAML now; try everything now


class _Log:
    """supervisord's logger: what it says beside our own events is trouble."""

    def _nothing(self, msg: str, **_: Any) -> None:
        """Routine."""

    blather = trace = debug = info = warn = _nothing

    def error(self, msg: str, **_: Any) -> None:
        log.trouble("supervisor", msg)

    critical = error

    def close(self) -> None:
        """Nothing to close."""


class _Wakeup:
    """The reading end of the pipe that every signal writes to, in supervisord's socket map."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def open(self) -> None:
        asyncore.socket_map[self._read] = self
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        del asyncore.socket_map[self._read]
        os.close(self._read)
        os.close(self._write)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self._read, 4096)


class _Poller(PollPoller):  # type: ignore[misc]  # supervisor has no types
    """Sleeps until a signal or until something is due."""

    def poll(self, timeout: float) -> Any:  # noqa: ARG002  # supervisor's signature
        return super().poll(self.options.tree.pause())


class Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """supervisord's settings, without its files, sockets and limits."""

    tree: "Tree"
    nodaemon = True
    first = True
    test = False

    def __init__(self, state: State, lock: int, users: Users | None) -> None:
        tempfile.tempdir = str(state.run)  # it asks for a default folder, and a read-only image may have none
        super().__init__()
        self.state = state
        self.lock = lock
        self.users = users
        self.pid = os.getpid()
        self.logger = _Log()
        self.poller = _Poller(self)
        self.wakeup = _Wakeup()

    def setsignals(self) -> None:
        super().setsignals()
        signal.signal(signal.SIGALRM, self.signal_receiver.receive)
        self.wakeup.open()

    def openhttpservers(self, supervisord: Any) -> None:
        """No control socket: no program may reach the supervisor."""

    def write_pidfile(self) -> None:
        """The lock says who runs."""

    def cleanup(self) -> None:
        super().cleanup()
        self.wakeup.close()


class Tree(Supervisor):  # type: ignore[misc]  # supervisor has no types
    """The programs, kept running as the active generation asks."""

    def __init__(self, options: Options, programs: Iterable[Program]) -> None:
        super().__init__(options)
        options.tree = self
        self._programs = tuple(programs)
        self._control = Control(options.state)
        self._followed: Generation | None = None
        self._readable = True
        self._follow()

    def work(self) -> None:
        """Run until a signal says stop and all programs have stopped."""
        try:
            self.run()
        except asyncore.ExitNow:
            return

    # -- what supervisord calls in every turn of its loop

    def pause(self) -> float:
        """How long to sleep."""
        if self.options.signal_receiver._signals_recvd:  # noqa: SLF001  # it has no other way to be asked
            return 0.0
        due = min((worker.due() for worker in self._workers()), default=float("inf"))
        # a millisecond more, for supervisord acts when the time has passed
        return min(max(due + 0.001 - time.time(), 0.0), IDLE)

    def handle_signal(self) -> None:
        while number := self.options.get_signal():
            if number in ENDS and self.options.mood == SupervisorStates.RUNNING:
                log.stopping(signame(number))
                self.options.mood = SupervisorStates.SHUTDOWN
            elif number in FORWARDED:
                for worker in self._workers():
                    if worker.config.process.program.name == FORWARDED[number] and worker.pid:
                        self.options.kill(worker.pid, number)

    def tick(self, now: float | None = None) -> None:  # noqa: ARG002  # supervisor's signature
        """Follow the active generation, instead of sending events that nobody listens to."""
        if self.options.mood == SupervisorStates.RUNNING:
            self._follow()
            self._settle()

    def ordered_stop_groups_phase_1(self) -> None:
        """Stop the last stage, all its processes at once."""
        for group in self.stop_groups:
            if group.config.priority == self.stop_groups[-1].config.priority:
                group.stop_all()

    def ordered_stop_groups_phase_2(self) -> None:
        while self.stop_groups and not self.stop_groups[-1].get_unstopped_processes():
            self.stop_groups.pop()

    # -- the generation

    def _follow(self) -> None:
        """If another generation is active, see which processes it asks for."""
        try:
            generation = self._control.current()
            if generation is self._followed:
                return
            wanted = processes(generation, self._programs)
        except OSError as cause:
            if self._readable:  # once, not once a second
                log.trouble("the active generation can't be read; the programs go on as they are", cause)
            self._readable = False
            return
        self._followed, self._readable = generation, True
        asked = generation.mapping("hardening").get(b"users", b"0")
        if asked != b"%d" % (self.options.users.base if self.options.users else 0):
            log.warning(NEXT_START if os.geteuid() == 0 else NEEDS_ROOT)
        self.options.process_group_configs = [Single(self.options, process) for process in wanted]

    def _settle(self) -> None:
        """Add, restart and remove processes towards what is wanted; restarts one after another."""
        added, changed, removed = self.diff_to_active()
        for config in [*removed, *changed[:1]]:
            self.process_groups[config.name].stop_all()
            if self.remove_process_group(config.name) and config in changed:
                added.append(config)
        for config in added:
            self.add_process_group(config)

    def _workers(self) -> Iterable[Any]:
        return (worker for group in self.process_groups.values() for worker in group.processes.values())
