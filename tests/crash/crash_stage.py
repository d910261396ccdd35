"""The process that starts programs for the proof, as the supervisor does: a fork of one that has imported them already.

    python tests/crash/crash_stage.py STATE SOCKET     (SOCKET: the number of an inherited descriptor)

Each request is one packet of JSON, {"start": program} or {"run": command, "words": […], "files": […]} or
{"end": pid}, and with a start one end of a socket.  On that the new process sends the listener of its filter, which from
then on is asked before each call of the table (crash_calls.py); then it becomes the program.
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from crash_calls import filter_of

from appliance import log
from appliance.state import State
from appliance.supervise.main import preload
from appliance.supervise.programs import PROGRAMS, Program

LISTENER = 1000  # a descriptor that no program ever has
_SECCOMP, _SET_FILTER = 317, 1
_NEW_LISTENER, _WAIT_KILLABLE = 8, 32
_DIE_WITH_PARENT, _NO_NEW_PRIVILEGES = 1, 38  # prctl
_libc = ctypes.CDLL(None, use_errno=True)
BY_NAME = {program.name: program for program in PROGRAMS}
COMMANDS = {"sendmail": "appliance.inject.sendmail", "qmail-queue": "appliance.inject.qmail_queue"}


def be_asked(code: bytes, connection: int) -> None:
    """Install the filter in this process and send its listener away. Raises OSError."""
    os.dup2(connection, LISTENER)
    os.close(connection)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    own = socket.socket(fileno=LISTENER)
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener = _libc.syscall(_SECCOMP, _SET_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, program)
    if listener < 0:  # before Linux 5.19 a signal may begin a call anew, which then counts twice
        listener = _libc.syscall(_SECCOMP, _SET_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(own, [b"%d" % os.getpid()], [listener])
    os.close(listener)
    own.close()


class Stage:
    """Starts and ends processes, one request after the other."""

    def __init__(self, state: State, requests: socket.socket) -> None:
        self._state, self._requests = state, requests
        self._code = filter_of(LISTENER)
        self._parent = os.getpid()

    def serve(self) -> None:
        """Until nobody asks any more; then all that was started ends, for it dies with its parent."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._requests, 1 << 16, 1)
            if not data:
                return
            request = json.loads(data)
            answer = self._end(request["end"]) if "end" in request else self._start(request, descriptors[0])
            self._requests.send(json.dumps(answer).encode())

    def _end(self, pid: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _start(self, request: dict, connection: int) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                self._requests.close()
                if "start" in request:
                    self._be(BY_NAME[request["start"]], connection)
                else:
                    self._run(request, connection)
            except BaseException:  # noqa: BLE001  # this is the process's last frame
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(70)
        os.close(connection)
        return pid

    def _be(self, program: Program, connection: int) -> None:
        """Be a program, as one that the supervisor has forked."""
        os.setpgid(0, 0)
        _libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self._parent:
            return
        be_asked(self._code, connection)
        os.closerange(3, LISTENER + 1)
        try:
            status = importlib.import_module(program.module).main(self._state)
        finally:
            log.flush()
        os._exit(status)

    def _run(self, request: dict, connection: int) -> None:
        """Be a command of the inject folder."""
        for fd, path in enumerate(request["files"]):
            os.dup2(os.open(path, os.O_RDONLY), fd)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.argv = [request["run"], *request["words"]]
        os.environ["PAPERPATH_STATE"] = str(self._state.root)
        module = importlib.import_module(COMMANDS[request["run"]])
        be_asked(self._code, connection)
        status = module.main()
        log.flush()
        os._exit(status)


def main() -> int:
    os.umask(0o077)  # as `paperpath run` does
    state, requests = State(Path(sys.argv[1])), socket.socket(fileno=int(sys.argv[2]))
    preload()
    for module in ("appliance.config.apply", *COMMANDS.values()):  # imports are what takes longest
        importlib.import_module(module)
    Stage(state, requests).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
