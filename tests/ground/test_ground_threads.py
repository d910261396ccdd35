"""Threads that can't be started: whoever asks is told at once, what was refused is never done, and the next work is."""

import subprocess
import sys
import threading

import pytest

from appliance import threads
from appliance.threads import Threads

# The address space has no room for a thread's stack: what a machine without memory says.
WITHOUT_MEMORY = """
import resource, sys
from appliance.threads import Threads

pool, done = Threads(2), []
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 20), before[1]))
print(pool.submit(done.append, "refused").exception().strerror)
resource.setrlimit(resource.RLIMIT_AS, before)
pool.submit(done.append, "taken").result()
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 20), before[1]))
waiting = [pool.submit(done.append, number) for number in range(9)]
print([each.result() for each in waiting].count(None))
pool.shutdown()
print(done)
"""


def test_without_memory_work_is_refused_and_never_done_later():
    """Then it works again; and with one thread there, others that can't be started are done without."""
    command = [sys.executable, "-c", WITHOUT_MEMORY]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["no thread can be started", "9", str(["taken", *range(9)])]


def test_a_thread_that_dies_before_it_began_is_not_waited_for(monkeypatch):
    """Python's own `start` would wait for ever."""
    monkeypatch.setattr(threads, "BEGIN_WITHIN", 0.01)
    with monkeypatch.context() as dying:
        dying.setattr(threads._thread, "start_new_thread", lambda _run, _arguments: 1)
        with pytest.raises(OSError, match="died before it began"):
            Threads(1).submit(print).result()


def test_there_are_no_more_threads_than_work_and_never_more_than_the_most():
    """One who works with pauses needs one."""
    pool, begun, names = Threads(3), threading.Semaphore(0), set()
    for _ in range(5):
        names.add(pool.submit(threading.get_ident).result())
    assert len(names) == 1
    go_on = threading.Event()

    def work() -> int:
        begun.release()
        go_on.wait()
        return threading.get_ident()

    asked = [pool.submit(work) for _ in range(5)]
    for _ in range(3):
        assert begun.acquire(timeout=30)
    assert not begun.acquire(timeout=0.05)  # the others wait
    go_on.set()
    assert len({each.result() for each in asked}) == 3
    pool.shutdown()


def test_an_error_is_the_askers_and_the_end_is_told():
    """The thread goes on; what was not begun at the end is not done."""
    pool = Threads(1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result()
    begun, go_on = threading.Event(), threading.Event()
    busy = pool.submit(lambda: begun.set() or go_on.wait())
    left = pool.submit(print)
    assert begun.wait(30)
    pool.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    assert (busy.result(), left.cancelled()) == (True, True)
    with pytest.raises(RuntimeError):
        pool.submit(print)
