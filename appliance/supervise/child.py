"""What a forked process does before and after it is a program.

No exec: the supervisor has imported what the programs need, and its pages stay shared.
"""

import ctypes
import importlib
import os
import signal
import traceback
from typing import NoReturn

from appliance import log
from appliance.state import State
from appliance.supervise.programs import Process
from appliance.supervise.users import Users

EX_SOFTWARE = 70  # sysexits.h: an internal error

_PDEATHSIG, _SET_NAME = 1, 15  # prctl
_libc = ctypes.CDLL(None, use_errno=True)


def become(process: Process, state: State, parent: int, lock: int, users: Users | None) -> NoReturn:
    """Run the program in this freshly forked process, as its own user if there is one, then end it.

    parent: the supervisor's pid.  lock: the descriptor that holds the state folder's lock; it stays open, so
    that no second supervisor starts while one of our programs is left.
    """
    status = EX_SOFTWARE
    try:
        if users is not None:
            users.become(process.program.name)
        _leave_the_parent(process.name, parent, lock)
        status = importlib.import_module(process.program.module).main(state)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else EX_SOFTWARE if end.code else 0
    except BaseException:  # noqa: BLE001  # this is the process's last frame: nothing else would report it
        log.setup(process.program.name)
        log.trouble(f"{process.name} ended by an error nobody foresaw; it is started again", traceback.format_exc())
    finally:
        log.flush()
        os._exit(status)


def _leave_the_parent(name: str, parent: int, lock: int) -> None:
    """Keep nothing of the supervisor but its imports, stdout and stderr. Raises OSError."""
    os.setpgid(0, 0)  # Ctrl-C in the terminal is the supervisor's business; it stops us in order
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(EX_SOFTWARE)
    _libc.prctl(_SET_NAME, name.encode(), 0, 0, 0)
    signal.set_wakeup_fd(-1)
    for ending in ("TERM", "INT", "QUIT", "HUP", "ALRM", "CHLD", "USR2"):
        signal.signal(signal.Signals[f"SIG{ending}"], signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.closerange(3, lock)
    os.closerange(lock + 1, 1 << 20)
