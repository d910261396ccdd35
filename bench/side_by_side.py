"""Paperpath and Postfix at the same time, loaded in turn: for experiments that compare many loads in one run.

Each is started once, with a Maildir; while one is loaded the other is idle and costs nothing.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from bench.arrivals import Arrivals, Maildir
from bench.cell import Running, running
from bench.contestant import MAILBOX, Contestant
from bench.contestants import CONTESTANTS
from bench.experiment import Bench
from bench.load import Load, drive
from bench.plan import EVERY_ROUND, Settings
from bench.process_tree import ProcessTree
from bench.table import Raw

_SAMPLE = 0.2  # seconds between two looks at the memory


class Later:
    """Arrivals after this moment."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._before = arrivals.wait(0)

    def wait(self, seconds: float) -> int:
        """As Arrivals.wait."""
        return self._arrivals.wait(seconds) - self._before


class PeakMemory:
    """The most that a process tree held while this was open: `bytes`, proportional set size."""

    def __init__(self, tree: ProcessTree) -> None:
        self.bytes = 0
        self._tree = tree
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(_SAMPLE):
            self.bytes = max(self.bytes, self._tree.memory())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self.bytes = max(self.bytes, self._tree.memory())


class Server:
    """One that runs, and its Maildir."""

    def __init__(self, name: str, one: Running, maildir: Maildir, settings: Settings) -> None:
        self.name, self.port, self.tree = name, one.place.port, one.tree
        self._log = one.place.folder / "source.log"
        self._maildir, self._settings = maildir, settings

    def load(self, messages: int, *, sessions: int = 20, size: int = 4096, reuse: bool = False) -> Raw:
        """Send so many messages, wait until all are in the Maildir; messages/s, CPU ms a message, peak memory.

        "problem" is None, or why they did not all arrive; then there are no figures.
        """
        os.sync()
        load = Load(self.port, MAILBOX, messages, reuse, sessions, size)
        before = self.tree.cpu_seconds()
        with PeakMemory(self.tree) as memory:
            outcome = drive(load, Later(self._maildir), self._log, self._settings.patience, self._settings.deadline)
        time.sleep(self._settings.settle)
        about: Raw = {"server": self.name, "messages": messages, "sessions": sessions, "size": size, "reuse": reuse}
        if outcome.problem:
            return {**about, "problem": outcome.problem}
        cpu = self.tree.cpu_seconds() - before
        return {
            **about,
            "problem": None,
            "rate": messages / outcome.seconds,
            "cpu_ms": cpu / messages * 1e3,
            "peak_bytes": memory.bytes,
        }


@contextmanager
def both(bench: Bench, changed: Mapping[str, Contestant] | None = None) -> Iterator[dict[str, Server]]:
    """Start both below the experiment's folder; `changed` stands for a contestant of that name, configured otherwise."""
    contestants = {**CONTESTANTS, **(changed or {})}
    with ExitStack() as stack:
        servers = {}
        for name in EVERY_ROUND:
            place = running(
                contestants[name], bench.folder / name, "maildir", bench.ports.take(), bench.settings.settle
            )
            one = stack.enter_context(place)
            maildir = stack.enter_context(Maildir(one.start.maildir))
            servers[name] = Server(name, one, maildir, bench.settings)
        yield servers


def one_is_missing() -> str | None:
    """Why the two can't be compared here, or None."""
    reasons = [
        f"{CONTESTANTS[name].TITLE}: {reason}" for name in EVERY_ROUND if (reason := CONTESTANTS[name].missing())
    ]
    return "; ".join(reasons) or None
