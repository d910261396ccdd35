"""Paperpath started on a queue that was full before: its start, its mail, its memory, its list."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from appliance import door, netstring
from appliance.state import State
from bench.arrivals import Arrivals, Maildir, Sink
from bench.cell import wait_for_220
from bench.contestant import ELSEWHERE, MAILBOX, Place, Start, WithMore
from bench.contestants import paperpath
from bench.load import Load, drive
from bench.peers import MAILBOX_UID, closed_to_others, give
from bench.plan import Settings
from bench.process_tree import ProcessTree, proportional_set_size
from bench.table import Raw
from bench.waiting import DESTINATION, fill

_READY_PATIENCE = 60.0
_LOOK = 5000  # lines of a list between two looks at the queue's memory
_ROUTE = '  - {{domain: {domain}, via: "smtp://127.0.0.1:{port}"}}\n'


class Prepared:
    """A folder with a configuration and a queue of `waiting` messages for a host that is `dead` or `hangs`."""

    def __init__(self, folder: Path, ports: tuple[int, int], waiting: int, due: float) -> None:
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        port, dead_port = ports
        self.place = Place(folder, "relay", port, port + 1)
        route = _ROUTE.format(domain=DESTINATION.decode(), port=dead_port)  # the routes stand last there
        self.start: Start = WithMore(paperpath, paperpath.CONFIG, lambda _: route).prepare(self.place)
        self.state = State(folder / "state")
        if waiting:
            fill(self.state.database, waiting, due)
        if os.geteuid() == 0 and not closed_to_others(Path(os.__file__)):
            give(self.state.root, MAILBOX_UID)


class Started:
    """Paperpath at work on a prepared folder."""

    def __init__(self, prepared: Prepared, settings: Settings) -> None:
        self.prepared, self._settings = prepared, settings
        began = time.monotonic()
        self.tree = ProcessTree(prepared.start, prepared.place.folder)
        try:
            wait_for_220(prepared.place.port, self.tree)
            self.greeted = time.monotonic() - began
            self._wait_until_ready()
            self.ready = time.monotonic() - began
        except BaseException:
            self.tree.stop()
            raise

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _READY_PATIENCE
        while time.monotonic() < end:
            with suppress(OSError, ValueError):
                workers = ping(self.prepared.state)["workers"]
                if workers["local"] and workers["remote"]:
                    return
            time.sleep(0.01)
        raise RuntimeError("the queue is not ready")

    def memory(self) -> int:
        return self.tree.memory()

    def queue_pid(self) -> int:
        """The process that has the database open."""
        database = str(self.prepared.state.database)
        for pid in self.tree.members():
            with suppress(OSError):
                if database in {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}:
                    return pid
        raise RuntimeError("no process has the database open")

    def rate(self, mode: str, messages: int) -> Raw:
        """Messages/s of a load, until all are delivered, and the CPU time of the whole tree."""
        place = self.prepared.place
        load = Load(place.port, MAILBOX if mode == "maildir" else ELSEWHERE, messages, reuse=False)
        before = self.tree.cpu_seconds()
        with self._arrivals(mode) as arrivals:
            outcome = drive(load, arrivals, place.folder / "source.log", self._settings.patience, 60.0)
        return {
            "rate": outcome.arrived / outcome.seconds if outcome.seconds else 0.0,
            "cpu_ms": (self.tree.cpu_seconds() - before) / max(1, outcome.arrived) * 1e3,
            "problem": outcome.problem,
        }

    @contextmanager
    def _arrivals(self, mode: str) -> Iterator[Arrivals]:
        if mode == "maildir":
            with Maildir(self.prepared.start.maildir) as maildir:
                yield maildir
        else:
            with Sink(self.prepared.place.sink_port, self.prepared.place.folder) as sink:
                yield sink


@contextmanager
def started(prepared: Prepared, settings: Settings) -> Iterator[Started]:
    """Start it as after a boot, with nothing of its database in the page cache; stop it at the end."""
    os.sync()
    if prepared.state.database.exists():
        with open(prepared.state.database, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    one = Started(prepared, settings)
    try:
        yield one
    finally:
        one.tree.stop()


def ping(state: State) -> Raw:
    """What the queue's admin door says of itself. Raises OSError, ValueError while it can't."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_READY_PATIENCE)
        connection.connect(str(state.door("admin")))
        connection.sendall(door.hello("admin", door.read_token(state, "admin")) + netstring.encode(b'{"do": "ping"}'))
        decoder = netstring.Decoder(1 << 16)
        while data := connection.recv(1 << 16):
            for frame in decoder.feed(data):
                answer: Raw = json.loads(frame)
                return answer
    raise ConnectionResetError("the queue closed the door")


class Listing(Thread):
    """`paperpath queue list --json`, read to its end, and what it cost; figures are there after `join`."""

    def __init__(self, one: Started) -> None:
        super().__init__()
        self._command = [
            one.prepared.start.command[0],
            "queue",
            "list",
            "--json",
            "--state",
            str(one.prepared.state.root),
        ]
        self._queue = one.queue_pid()
        self.figures: Raw = {}
        self.start()

    def run(self) -> None:
        before, began = proportional_set_size([self._queue]), time.monotonic()
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        lines, first, most = 0, 0.0, before
        for line in process.stdout:
            lines += line.startswith(b"{")
            first = first or time.monotonic() - began
            if lines % _LOOK == 0:
                most = max(most, proportional_set_size([self._queue]))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.figures = {
            "lines": lines,
            "first_seconds": first,
            "seconds": time.monotonic() - began,
            "status": process.returncode,
            "command_bytes": usage.ru_maxrss * 1024,
            "queue_grew_bytes": most - before,
        }
