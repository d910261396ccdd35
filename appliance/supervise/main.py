"""Runs the appliance: one supervisor for one state folder, its programs as children.

Works as process 1 of a container (it reaps what others leave behind) and as a plain process.
SIGTERM and SIGINT stop the programs in order; SIGHUP makes the watcher look at the YAML now, SIGALRM the queue try everything.
"""

import contextlib
import fcntl
import gc
import importlib
import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from appliance import call_groups, door, log, sandbox
from appliance.call_numbers import AUDIT
from appliance.control import Control
from appliance.state import State
from appliance.supervise.programs import PROGRAMS, Program
from appliance.supervise.users import Users

PATIENCE = 3.0  # seconds in which the programs of a supervisor that was just killed are gone

FILES = 65536  # open files of a program: more than its sessions will ever need


class AlreadyRunning(Exception):
    """Another supervisor has this state folder."""


def own(state: State) -> int:
    """Take the state folder for this process and its children; return the descriptor of the lock.

    The kernel gives it back when the last of them has ended, however that happens.
    Raises AlreadyRunning, OSError.
    """
    state.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                pid = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
                os.close(lock)
                raise AlreadyRunning(
                    f"{state.root} is already in use by another paperpath run (process {pid})"
                ) from None
            time.sleep(0.05)
        else:
            os.ftruncate(lock, 0)
            os.write(lock, b"%d\n" % os.getpid())
            return lock


def preload(programs: Iterable[Program] = PROGRAMS) -> None:
    """Import what the programs need, once for all of them.

    A module that can't be imported is left to its program, which says why when it starts.
    """
    # libuv may use io_uring to save one system call a connection; it saves no time, and fewer kernel doors are open without it
    os.environ["UV_USE_IO_URING"] = "0"
    for module in ("appliance.supervise.daemon", *(program.module for program in programs)):
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    if os.uname().machine in AUDIT:
        call_groups.write_filters()


def supervise(state: State, lock: int, programs: Iterable[Program] = PROGRAMS, users: Users | None = None) -> int:
    """Keep the programs running until a signal says stop; return the exit status. Raises OSError."""
    from appliance.supervise.daemon import Options, Tree  # noqa: PLC0415  # heavy: not for `health` and tests

    log.setup("supervise")
    _raise_file_limit()
    _make_fresh(state)
    if users is not None:
        users.hand_out(state)
    sandbox.keep_to_oneself()  # and each program, from its first moment
    tree = Tree(Options(state, lock, users), programs)
    log.started(Control(state).current().name)
    gc.collect()
    gc.freeze()  # the children's collections leave these pages alone, so they stay shared
    tree.work()
    log.stopped()
    return 0


def _make_fresh(state: State) -> None:
    """No socket of an earlier run, and tokens that nobody knows. Raises OSError."""
    for socket in state.run.glob("*.sock"):
        socket.unlink()
    door.make_tokens(state)
    for folder in (state.queue, state.mail):
        folder.mkdir(mode=0o700, exist_ok=True)


def _raise_file_limit() -> None:
    """As many sessions as we may have; a limit that can't be raised is as good as it gets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def yaml_link(state: State) -> Path:
    """The link to the YAML file in force, by which the watcher and people find it."""
    return state.run / "mail.yaml"
