"""Deliveries beside the batch: those that start programs or write an mbox, so that a slow one delays no Maildir.

Each recipient has a thread; at most control/concurrencylocal run at a time, the others wait in their order.
All of this but the threads' work happens in the program's own thread.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from appliance import log, threads
from appliance.control import Control
from appliance.errors import Temporary
from appliance.lease import Delivery
from appliance.local.recipient import Recipient
from appliance.local.steps import Job, Steps

WAITING = 1000  # recipients that wait here; beyond that they come back later
_BYTES = 32 << 20  # of their messages
_CONCURRENCY = 10
_LOOK = 1000  # milliseconds: a thread that is done and can't write into the pipe has woken nobody
STOP_WITHIN = 5.0  # seconds that programs have to end by themselves when we are told to stop


@dataclass(slots=True)
class Opened:
    """A delivery that was begun here.

    left    recipients whose jobs are not done
    leased  whether the queue still waits for its report
    """

    delivery: Delivery
    recipients: Sequence[Recipient]
    left: int
    leased: bool = True


class Beside:
    """The jobs that wait and run.

    ready  a descriptor that is readable when `finished` has something to tell
    """

    def __init__(self, control: Control, steps: Steps) -> None:
        self._control = control
        self._steps = steps
        self._waiting: deque[Job] = deque()
        self._running: set[int] = set()  # ids of jobs
        self._open: dict[int, Opened] = {}  # by id() of the delivery
        self._bytes = 0
        self._ended: deque[Job] = deque()
        self.ready, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def full(self) -> bool:
        """Whether no more should be begun."""
        return len(self._waiting) >= WAITING or self._bytes >= _BYTES

    @property
    def ended(self) -> bool:
        """Whether `finished` has something to tell."""
        return bool(self._ended)

    @property
    def patience(self) -> int | None:
        """Milliseconds after which to look at `ended` though `ready` says nothing; None: nothing runs."""
        return _LOOK if self._running else None

    def add(self, delivery: Delivery, recipients: Sequence[Recipient], jobs: Sequence[Job]) -> None:
        """Begin a delivery's jobs; `finished` gives it back with all its recipients."""
        self._open[id(delivery)] = Opened(delivery, recipients, len(jobs))
        self._bytes += len(delivery.content or b"")
        self._waiting.extend(jobs)
        self._start()

    def finished(self) -> list[Opened]:
        """The deliveries that are done now; never blocks."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.ready, 4096)
        done: list[Opened] = []
        while self._ended:
            job = self._ended.popleft()
            self._running.discard(id(job))
            its = self._open[id(job.delivery)]
            its.left -= 1
            if not its.left:
                del self._open[id(job.delivery)]
                self._bytes -= len(job.delivery.content or b"")
                done.append(its)
        self._start()
        return done

    def forget(self) -> None:
        """The leases are gone: nothing that waits is begun; what runs goes on, and counts when it is done."""
        for its in self._open.values():
            its.leased = False
        self._drop()

    def runs(self, message: int) -> bool:
        """Whether an attempt whose lease is gone still runs: one more beside it would do the work twice."""
        return any(its.delivery.message == message and not its.leased for its in self._open.values())

    def stop(self) -> list[Opened]:
        """Begin nothing more, let what runs end within STOP_WITHIN, then end it; the deliveries that got done."""
        self._drop()
        done = self.finished()
        until = time.monotonic() + STOP_WITHIN
        while self._running and time.monotonic() < until:
            time.sleep(0.02)
            done += self.finished()
        self._steps.end_programs()
        return done

    def _drop(self) -> None:
        while self._waiting:
            job = self._waiting.popleft()
            job.attempt.failure = Temporary(451, "4.3.2", "local was stopped")
            self._end(job)

    def _start(self) -> None:
        if not self._waiting:
            return
        try:
            most = max(1, self._control.current().integer("concurrencylocal", _CONCURRENCY))
        except OSError:
            most = _CONCURRENCY
        while self._waiting and len(self._running) < most:
            job = self._waiting.popleft()
            self._running.add(id(job))
            try:
                threads.begin(partial(self._work, job))
            except OSError as error:
                log.trouble("cannot start a thread for a delivery, it is deferred", error)
                job.attempt.failure = error
                self._end(job)

    def _work(self, job: Job) -> None:
        self._steps.carry_out(job)
        self._end(job)

    def _end(self, job: Job) -> None:
        self._ended.append(job)
        with contextlib.suppress(OSError):  # EAGAIN: enough bytes are there; ENOMEM: he looks by himself, soon
            os.write(self._wake, b".")
