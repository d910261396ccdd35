"""A program of ours as its own process, its log, and a raw client: what the tests of servers have in common."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self


class Program:
    """One program at work on a state folder; `log` has its lines."""

    name = ""

    def launch(self, code: str, root: Path, output: Path, environment: dict[str, str] | None = None) -> None:
        """Start Python with this code, to which the state folder is given, and wait until it serves."""
        self._output = output
        with open(output, "wb") as log:
            self.process = subprocess.Popen([sys.executable, "-c", code, root], stdout=log, env=environment)
        self.wait_for("started")

    @property
    def log(self) -> list[dict]:
        return [json.loads(line) for line in self._output.read_bytes().rpartition(b"\n")[0].splitlines()]

    def wait_for(self, event: str, count: int = 1, seconds: float = 60.0) -> dict:
        """The event's line, when there are so many."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [line for line in self.log if line["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None or found, f"{self.name} ended: {self._output.read_text()}"
            time.sleep(0.01)
        raise AssertionError(f"no {event} in {self._output.read_text()}")

    def work(self) -> float:
        """Seconds of processor time so far, which do not depend on who else is busy (proc_pid_stat(5))."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def code(program: str, before: str = "") -> str:
    """What starts a program's main with the state folder of the first argument, after some statements."""
    start = f"import sys, pathlib; from appliance.{program}.main import main; from appliance.state import State; "
    return start + before + "sys.exit(main(State(pathlib.Path(sys.argv[1]))))"


class RawClient:
    """What is sent is exactly what is given."""

    def __init__(self, port: int, timeout: float, address: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(address, 0))
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        """The next line, without CRLF; b"" at the end of the connection."""
        while b"\r\n" not in self._buffer:
            data = self.socket.recv(1 << 20)
            if not data:
                assert not self._buffer
                return b""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line
