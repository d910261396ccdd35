"""Running a program with bytes on its stdin, for commands that wrap others.

By fork and exec: the library's subprocess module would double the start-up time of a command.
"""

import errno
import fcntl
import os
import signal
from collections.abc import Iterable, Mapping
from typing import NoReturn

# errors that pass: a program that can't be started for one of these may start later
_NAMES = """EINTR ENOMEM ETXTBSY EIO ETIMEDOUT EWOULDBLOCK EAGAIN EDEADLK EBUSY ENFILE EMFILE EFBIG ENOSPC
    ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS ETOOMANYREFS ECONNREFUSED EHOSTDOWN EHOSTUNREACH
    EUSERS EDQUOT ESTALE ENOLCK"""
TEMPORARY = frozenset(getattr(errno, name) for name in _NAMES.split())
_ABOVE = 10  # descriptors up to here may be the child's own


def start(
    arguments: list[bytes],
    descriptors: Mapping[int, int],
    folder: str | None = None,
    failures: tuple[int, int] | None = None,
) -> int:
    """Start a program, found by PATH; its process id. Raises OSError.

    descriptors  the child's number of each of ours that it gets
    folder       where it starts; then there is no search by PATH
    failures     the child's exit statuses when the folder or the program can't be had;
                 else 111 if that may pass, 100 if not
    """
    child = os.fork()
    if not child:
        _become(arguments, descriptors, folder, failures)
    return child


def _become(
    arguments: list[bytes], descriptors: Mapping[int, int], folder: str | None, failures: tuple[int, int] | None
) -> NoReturn:
    status = failures[0] if failures else 111
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a child would inherit that
        # first out of the way: one of ours may have the number of another of the child's
        safe = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for number, fd in descriptors.items()}
        for number, fd in safe.items():
            os.dup2(fd, number)
        if folder is not None:
            os.chdir(folder)
        status = failures[1] if failures else 111
        if folder is None:
            os.execvp(arguments[0], arguments)  # noqa: S606  # no shell is wanted
        os.execv(arguments[0], arguments)  # noqa: S606
    except OSError as error:
        os._exit(status if failures or error.errno in TEMPORARY else 100)
    finally:
        os._exit(status)


def wait(child: int) -> int | None:
    """The exit status of a program; None if a signal ended it."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None


def feed(fd: int, pieces: Iterable[bytes]) -> bool:
    """Write all and close; whether the reader took all of it. Raises what `pieces` raises, with `fd` closed."""
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
    except BrokenPipeError:
        return False
    finally:
        os.close(fd)
    return True


def run(arguments: list[bytes], pieces: Iterable[bytes] | None = None) -> int | None:
    """Run a program with these bytes on its stdin (None: with ours); its exit status, None if a signal ended it.

    Raises OSError. A program that does not read its input to the end may do so.
    """
    if pieces is None:
        return wait(start(arguments, {}))
    reading, writing = os.pipe()
    child = start(arguments, {0: reading})
    os.close(reading)
    feed(writing, pieces)
    return wait(child)
