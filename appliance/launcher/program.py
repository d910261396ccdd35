"""From a request to a running program: the last steps before /bin/sh, in a process of its own."""

import contextlib
import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from appliance import safeio, sandbox
from appliance.launcher.limits import Limits
from appliance.sandbox import Rules

SHELL = "/bin/sh"
_FILES = 1024  # open at a time


@dataclass(frozen=True, slots=True)
class Command:
    """What is started, and how it is locked in."""

    line: bytes
    home: str
    environment: Sequence[bytes]
    limits: Limits
    rules: Rules


class CannotStart(OSError):
    """The program could not be started; nothing of it has run."""


def start(command: Command, stdin: int, output: int) -> int:
    """Start a program that reads `stdin` and writes to `output`; return its pid. Raises CannotStart, OSError."""
    told, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        os.close(told)
        _become(command, stdin, output, tell)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        trouble = pipe.read()  # it ends with the exec
    if trouble:
        os.waitpid(pid, 0)
        raise CannotStart(trouble.decode("utf-8", "replace"))
    return pid


def _become(command: Command, stdin: int, output: int, tell: int) -> NoReturn:
    try:
        os.setsid()
        for descriptor, number in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, number)
        _close_others(tell)
        os.chdir(command.home)
        safeio.keep_private(command.home)
        sandbox.lock(command.rules)
        _limit(command.limits)
        _as_nobody_had_touched_them()
        words = [b"sh", b"-c", command.line]
        environment = dict(variable.split(b"=", 1) for variable in command.environment)
        os.execve(SHELL, words, environment)  # noqa: S606  # a shell is what qmail starts
    except BaseException as error:  # noqa: BLE001  # told to the minder
        os.write(tell, str(error).encode() or b"unknown")
    os._exit(111)


def _close_others(kept: int) -> None:
    os.closerange(3, kept)
    os.closerange(kept + 1, 1 << 20)


def _limit(limits: Limits) -> None:
    for kind, wanted in (
        (resource.RLIMIT_CPU, limits.time),
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def _as_nobody_had_touched_them() -> None:
    """Signals: Python ignores some, and what is ignored stays so for the program."""
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # SIGKILL and SIGSTOP have no other way
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
