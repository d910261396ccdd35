"""Threads that wait for disks and programs, so that an event loop need not.

Where no thread can be started (memory, or the limit of processes), whoever asks is told so, what was refused is never done
later, and the next one is served as soon as a thread can be had.  concurrent.futures does such work all the same when it
has a thread again, with descriptors that are others' by then; and threading waits for ever for a thread that died
of want of memory before it began.
"""

import _thread
import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

BEGIN_WITHIN = 5.0  # seconds after which a thread that was started has died before it came to its work

_Work = tuple["Future[Any]", Callable[[], Any]]
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def begin(work: Callable[[], None]) -> None:
    """Do it in a new thread, which ends with the program. Raises OSError if there is none to be had."""
    claim, begun = [work], threading.Event()

    def run() -> None:
        try:
            mine = claim.pop()
        except IndexError:  # too late: nobody waits for it any more
            return
        begun.set()
        mine()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError as error:
        raise OSError(errno.ENOMEM, "no thread can be started") from error
    if not begun.wait(BEGIN_WITHIN):
        with suppress(IndexError):  # it begins just now
            claim.pop()
            raise OSError(errno.ENOMEM, "a thread has died before it began")


class Threads(Executor):
    """At most so many threads, each started when all others have work."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._changing = threading.Condition()
        self._count = self._asked = 0  # threads, and work that is not done
        self._ended = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have it done; the future fails with OSError if there is no thread for it. Raises RuntimeError after the end."""
        future: Future[Any] = Future()
        with self._changing:
            if self._ended:
                raise RuntimeError("no more work is taken")
            if self._asked >= self._count and self._count < self._most:
                try:
                    begin(self._run)
                    self._count += 1
                except OSError as error:
                    if not self._count:  # else the others do it
                        future.set_exception(error)
                        return future
            self._asked += 1
            self._work.put((future, partial(fn, *args, **kwargs)))
        return future

    def _run(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                self._do(*work)
                del work  # or it would be kept until there is more
        finally:
            with self._changing:
                self._count -= 1
                self._changing.notify_all()

    def _do(self, future: "Future[Any]", work: Callable[[], Any]) -> None:
        result, failure = None, None
        try:
            if not future.set_running_or_notify_cancel():
                return
            result = work()
        except BaseException as error:  # noqa: BLE001  # told to the one who asked
            failure = error
        finally:
            with self._changing:
                self._asked -= 1
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; cancel_futures: what is not begun is not done; wait: until all is done."""
        with self._changing:
            self._ended = True
            while cancel_futures and not self._work.empty():
                if (work := self._work.get()) is not None:
                    work[0].cancel()
                    self._asked -= 1
            for _ in range(self._count):
                self._work.put(None)
            while wait and self._count:
                self._changing.wait()


SHARED = Threads(8)


async def in_thread(work: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
    """What it returns, done in one of the program's threads. Raises OSError if there is none."""
    return await asyncio.get_running_loop().run_in_executor(SHARED, partial(work, *args, **kwargs))
