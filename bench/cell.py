"""One cell of the table: one contestant, freshly made and started, under one load; or alone with single messages."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.apart import spread
from bench.arrivals import Arrivals, Maildir, Sink
from bench.contestant import ELSEWHERE, MAILBOX, Contestant, Mode, Place, Start
from bench.latency import one_message
from bench.load import Load, drive
from bench.plan import Scenario, Settings
from bench.process_tree import ProcessTree
from bench.table import Raw

_FIRST_PORT, _PORTS = 28000, 900
_START_PATIENCE = 30.0
_WARM_UP = 5  # single messages before those that are measured


class Ports:
    """Ports of 127.0.0.1, new ones each time."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        """The first of two neighbouring free ports. Raises OSError if there are none."""
        for _ in range(_PORTS // 2):
            port = _FIRST_PORT + self._next
            self._next = (self._next + 2) % _PORTS
            if _free(port) and _free(port + 1):
                return port
        raise OSError(f"no free ports from {_FIRST_PORT} to {_FIRST_PORT + _PORTS}")


def _free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def wait_for_220(port: int, tree: ProcessTree) -> float:
    """Seconds until the server greets. Raises RuntimeError with the end of its log if it does not."""
    began = time.monotonic()
    while time.monotonic() - began < _START_PATIENCE and tree.alive():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                if sock.recv(512).startswith(b"220"):
                    seconds = time.monotonic() - began
                    sock.sendall(b"QUIT\r\n")
                    sock.recv(512)
                    return seconds
        except OSError:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"no 220: {tree.log.read_text(errors='replace').strip()[-300:]}")


class Running:
    """A started contestant and what was seen at its start."""

    def __init__(self, place: Place, start: Start, tree: ProcessTree) -> None:
        self.place, self.start, self.tree = place, start, tree
        self.seen: Raw = {"start_seconds": None, "idle_bytes": None, "after_bytes": None}


@contextmanager
def running(contestant: Contestant, folder: Path, mode: Mode, port: int, settle: float) -> Iterator[Running]:
    """Prepare in a fresh folder, let the disk settle, start, wait for the 220; stop at the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    spread(folder.parent)
    folder.mkdir()
    folder.chmod(0o755)
    place = Place(folder, mode, port, port + 1)
    start = contestant.prepare(place)
    os.sync()
    tree = ProcessTree(start, folder)
    try:
        one = Running(place, start, tree)
        one.seen["start_seconds"] = wait_for_220(port, tree)
        time.sleep(settle)
        one.seen["idle_bytes"] = tree.memory()
        yield one
        one.seen["after_bytes"] = tree.memory()
    finally:
        tree.stop()


@contextmanager
def arrivals_of(one: Running) -> Iterator[Arrivals]:
    if one.place.mode == "maildir":
        with Maildir(one.start.maildir) as maildir:
            yield maildir
    else:
        with Sink(one.place.sink_port, one.place.folder) as sink:
            yield sink


def load_cell(contestant: Contestant, folder: Path, scenario: Scenario, port: int, settings: Settings) -> Raw:
    """Send a load, wait until all is delivered; the raw figures. Raises RuntimeError, OSError."""
    messages = max(100, int(settings.messages * contestant.SHARE))
    recipient = ELSEWHERE if scenario.mode == "relay" and not contestant.RELAY_BY_ALIAS else MAILBOX
    load = Load(port, recipient, messages, scenario.reuse, contestant.SESSIONS, settings.size)
    with running(contestant, folder, scenario.mode, port, settings.settle) as one, arrivals_of(one) as arrivals:
        before = one.tree.cpu_seconds()
        outcome = drive(load, arrivals, folder / "source.log", settings.patience, settings.deadline)
        time.sleep(settings.settle)  # what is still to be tidied up is part of the cost; a duplicate would come now
        cpu = one.tree.cpu_seconds() - before
        arrived = arrivals.wait(0)
        distinct, total = arrived, arrived
        if isinstance(arrivals, Maildir):
            ids = arrivals.message_ids()
            distinct, total = len(ids), ids.total()
    return {
        **one.seen,
        "sent": messages,
        "arrived": total,
        "lost": max(0, messages - distinct),
        "duplicated": max(0, total - min(distinct, messages)),
        "seconds": outcome.seconds,
        "accept_seconds": outcome.accept_seconds,
        "rate": outcome.arrived / outcome.seconds if outcome.seconds else None,
        "cpu_seconds": cpu,
        "cpu_ms": cpu / outcome.arrived * 1e3 if outcome.arrived else None,
        "cpu_method": one.tree.method,
        "problem": outcome.problem,
    }


def latency_cell(contestant: Contestant, folder: Path, port: int, settings: Settings) -> Raw:
    """Single messages on an idle server, a little apart. Raises RuntimeError, OSError."""
    with (
        running(contestant, folder, "maildir", port, settings.settle) as one,
        Maildir(one.start.maildir) as maildir,
    ):
        found = []
        for number in range(_WARM_UP + settings.singles):
            found.append(one_message(port, MAILBOX, number, settings.size, maildir))
            time.sleep(0.02)
    measured = found[_WARM_UP:]
    return {
        "accepted_ms": [single.accepted * 1e3 for single in measured],
        "visible_ms": [single.visible * 1e3 for single in measured],
    }
