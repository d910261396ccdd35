"""Group commit: what one turn of the loop brings, or what arrives while the last commit runs, is committed together.

While the disk is quick the loop commits by itself: to hand it to a thread and take it back costs more than the sync.
Else a thread does, and so does it all reading.  Commits and reads are done in the order they were asked for, and their
results come back to the event loop in that order; the rest of the queue relies on it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol

from appliance import log
from appliance.queue.store import Change, Store, Unavailable

BATCH = 2000  # items a commit at most: bounds what one failure makes wait
IDLE = 0.05  # seconds without work before housekeeping
RETRY = 1.0  # seconds before a report is tried again that the disk refused
QUICK = 0.002  # seconds; commits that take longer one after the other
PATIENCE = 5  # become the thread's, until one of them is quick again,
STUCK = 0.1  # seconds; and so do those after a single one that takes so long

Later = Callable[[float, Callable[[], None]], Any]


class Item(Protocol):
    """Something to be made durable, and what to do then.

    keep  True: if the disk fails it is tried again until it works (a report: the delivery has
          happened); False: it is told so (a request: the client tries again)
    """

    change: Change | None
    keep: bool

    def done(self, error: Exception | None) -> None:
        """On the event loop, after the commit or its failure."""


class Removing:
    """Something that should not be there."""

    keep = False

    def __init__(self, change: Change) -> None:
        self.change: Change | None = change

    def done(self, error: Exception | None) -> None:
        if error is not None:
            log.trouble("queue: it could not be removed", error)


class Writer:
    """The one thread that touches the store.

    post: `loop.call_soon_threadsafe`; soon: `loop.call_soon`; later: `loop.call_later`.
    settled: called on the loop after the items of a commit were told.
    """

    def __init__(
        self,
        store: Store,
        post: Callable[..., Any],
        soon: Callable[..., Any],
        later: Later,
        settled: Callable[[], None],
    ) -> None:
        self._store = store
        self._post, self._soon, self._later = post, soon, later
        self._settled = settled
        self._pending: list[Item] = []
        self._busy = False
        self._scheduled = False
        self._slow = 0  # commits that were not quick since the last that was
        self._asked = 0  # jobs that the thread has not finished
        self._resting = False  # a timer runs that looks for a quiet moment
        self.trouble = ""  # why the disk refused the last commit, if it did
        self._changed = 0.0  # when the last commit ended
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being written."""
        return not (self._busy or self._pending)

    @property
    def pending(self) -> int:
        """Items that wait for a commit to begin."""
        return len(self._pending)

    def submit(self, item: Item) -> None:
        """Make it durable with the next commit."""
        self._pending.append(item)
        self._schedule()

    def _schedule(self) -> None:
        if self._pending and not self._busy and not self._scheduled:
            self._scheduled = True
            self._soon(self._begin)  # what else this turn of the loop brings comes along

    def read(self, ask: Callable[[], Any], tell: Callable[[Any, Exception | None], None]) -> None:
        """Run `ask` on the store's thread and `tell` its result on the loop."""

        def job() -> None:
            result, failure = None, None
            try:
                result = ask()
            except Exception as error:  # noqa: BLE001  # told to the one who asked
                failure = error
            self._post(self._told, tell, result, failure)

        self._ask(job)

    def _ask(self, job: Callable[[], None]) -> None:
        self._asked += 1
        self._jobs.put(job)

    def _told(self, tell: Callable[..., None], *result: Any) -> None:
        self._asked -= 1
        tell(*result)

    def stop(self) -> None:
        """Finish what was asked for and end the thread; blocks."""
        self._jobs.put(None)
        self._thread.join()

    def _begin(self) -> None:
        self._scheduled = False
        if self._busy or not self._pending:
            return
        items, self._pending = self._pending[:BATCH], self._pending[BATCH:]
        self._busy = True
        if self._in_loop:
            self._finished(items, *_timed(self._store, items))
        else:
            self._ask(lambda: self._post(self._told, self._finished, items, *_timed(self._store, items)))

    @property
    def _in_loop(self) -> bool:
        """Whether the next commit is the loop's: the thread must be at rest then."""
        return self._slow < PATIENCE and not self._asked

    def _finished(self, items: list[Item], errors: Sequence[Exception | None] | None, seconds: float) -> None:
        self._busy = False
        if seconds < QUICK:
            self._slow = 0
        else:  # a busy processor makes one of many slow, a slow disk makes all
            self._slow += PATIENCE if seconds > STUCK else 1
        self._changed = time.monotonic()
        kept: list[Item] = []
        self.trouble = ""
        if errors is None:
            if not self._in_loop:
                self._begin()  # the disk works while we tell people
            for item in items:
                _tell(item, None)
            self._schedule()
        else:
            first = next(filter(None, errors), "?")
            self.trouble = str(first) if isinstance(first, Unavailable) else ""
            log.trouble("queue: a commit failed; requests are answered 451, reports are kept", first)
            for item, error in zip(items, errors, strict=True):
                # a report that the disk refused waits, and so do all after it: their order matters
                if item.keep and isinstance(error, Unavailable):
                    kept.append(item)
                else:
                    _tell(item, error)
            if kept:
                self._pending = kept + self._pending
                self._scheduled = True
                self._later(RETRY, self._begin)
            else:
                self._schedule()
        if self._store.untidy():
            self._ask(lambda: self._tidy(idle=False))
        elif not self._resting:
            self._resting = True
            self._later(IDLE, self._rest)
        self._settled()

    def _rest(self) -> None:
        """Use a quiet moment."""
        if self._busy or time.monotonic() - self._changed < IDLE:
            self._later(IDLE, self._rest)
            return
        self._resting = False
        self._ask(lambda: self._tidy(idle=True))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _tidy(self, idle: bool) -> None:
        failure = None
        try:
            self._store.tidy(idle)
        except Exception as error:  # noqa: BLE001  # housekeeping must not end the one thread that writes
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            self._post(self._told, _tidied, failure)


def _tidied(failure: Exception | None) -> None:
    if failure is not None:
        log.trouble("queue: housekeeping failed, it is tried again later", failure)


def _tell(item: Item, error: Exception | None) -> None:
    try:
        item.done(error)
    except Exception as defect:  # noqa: BLE001  # the others of this commit must be told all the same
        log.trouble("queue: a defect after a commit; what was committed is safe", repr(defect))


def _timed(store: Store, items: Sequence[Item]) -> tuple[Sequence[Exception | None] | None, float]:
    began = time.monotonic()
    return write(store, items), time.monotonic() - began


def write(store: Store, items: Sequence[Item]) -> Sequence[Exception | None] | None:
    """Commit all; None if that worked, else each item's own failure or None."""
    changes = [item.change for item in items if item.change is not None]
    try:
        if changes:
            store.commit(changes)
        return None
    except Exception as error:  # noqa: BLE001  # one poisoned item must not fail the others
        if isinstance(error, Unavailable) and len(items) == 1:
            return [error]
    errors: list[Exception | None] = []
    waiting: Exception | None = None  # the first report that must wait
    for item in items:
        failure: Exception | None = waiting if item.keep else None
        if failure is None and item.change is not None:
            try:
                store.commit([item.change])
            except Exception as error:  # noqa: BLE001  # told to its item
                failure = error
                if item.keep and isinstance(error, Unavailable):
                    waiting = error
        errors.append(failure)
    return errors
