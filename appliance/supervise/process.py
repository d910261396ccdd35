"""One process, as supervisord sees it: a function called after fork, not a command.

It inherits stdout and stderr, so that log lines are not copied on their way.
"""

import signal
import time
from typing import Any, NoReturn

from supervisor.datatypes import RestartUnconditionally
from supervisor.options import ProcessConfig, ProcessGroupConfig, decode_wait_status
from supervisor.process import Subprocess
from supervisor.states import ProcessStates, SupervisorStates

from appliance import log
from appliance.supervise import child
from appliance.supervise.programs import Process

STEADY = 1  # seconds after which a start counts as good
# Seconds before the next start, by how often a program ended sooner than that.  None is longer than its place in
# the row: supervisord would think that the clock was set back, and shorten it.
PAUSES = (0, 0, 1, 1, 2, 3, 4, 6, 8, 9, 10)
STOP_WITHIN = 9  # seconds a stage has before it is killed: three stages fit into the 30 that Kubernetes gives


class Worker(Subprocess):  # type: ignore[misc]  # supervisor has no types
    """A process that is kept running."""

    backoff: int

    def get_execv_args(self) -> tuple[str, list[str]]:
        return self.config.name, []

    def _spawn_as_child(self, filename: str, argv: list[str]) -> NoReturn:  # noqa: ARG002  # supervisor's signature
        options = self.config.options
        child.become(self.config.process, options.state, options.pid, options.lock, options.users)

    def change_state(self, new_state: int, expected: bool = True) -> None:
        super().change_state(new_state, expected)
        if new_state == ProcessStates.BACKOFF:
            self.backoff = min(self.backoff, len(PAUSES) - 1)
            self.delay = time.time() + PAUSES[self.backoff]

    def finish(self, pid: int, sts: int) -> None:
        log.exited(self.config.name, pid, decode_wait_status(sts)[1])
        super().finish(pid, sts)

    def kill(self, sig: int) -> Any:
        if sig == signal.SIGKILL:
            log.warning(f"{self.config.name} did not stop within {STOP_WITHIN} s and is killed")
        return super().kill(sig)

    def record_spawnerr(self, msg: str) -> None:
        log.trouble(f"{self.config.name} could not be started; it is tried again", msg)

    def due(self) -> float:
        """The time at which something is to be done about it (0: now)."""
        if self.state == ProcessStates.STARTING:
            return float(self.laststart) + STEADY
        if self.state in (ProcessStates.BACKOFF, ProcessStates.STOPPING):
            return float(self.delay)
        ended = self.state == ProcessStates.EXITED or not self.laststart
        return 0.0 if ended and self.config.options.mood == SupervisorStates.RUNNING else float("inf")


class Entry(ProcessConfig):  # type: ignore[misc]  # supervisor has no types
    """The supervisord entry of one process."""

    def __init__(self, options: Any, process: Process) -> None:
        self.process = process
        super().__init__(
            options,
            **dict.fromkeys(self.req_param_names)
            | {
                "name": process.name,
                "command": process.program.module,
                "priority": process.program.stage,
                "autostart": True,
                "autorestart": RestartUnconditionally,
                "startsecs": STEADY,
                "startretries": len(PAUSES),  # `backoff` never gets that far: it never gives up
                "stopsignal": signal.SIGTERM,
                "stopwaitsecs": STOP_WITHIN,
                "exitcodes": [0],
                "redirect_stderr": True,
            },
        )

    def make_process(self, group: Any = None) -> Worker:
        worker = Worker(self)
        worker.group = group
        return worker

    def make_dispatchers(self, proc: Worker) -> tuple[dict[int, Any], dict[str, int]]:  # noqa: ARG002  # no pipes
        return {}, {}


class Single(ProcessGroupConfig):  # type: ignore[misc]  # supervisor has no types
    """A group of one, so that each process can be added, restarted and removed by itself."""

    def __init__(self, options: Any, process: Process) -> None:
        super().__init__(options, process.name, process.program.stage, [Entry(options, process)])
        self.process = process

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Single) and self.process == other.process

    __hash__ = None  # type: ignore[assignment]  # as supervisor's own

    def after_setuid(self) -> None:
        """No log files to make: everything goes to stdout."""
