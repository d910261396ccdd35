"""Load by Postfix's smtp-source, measured until everything has arrived.

Knows no contestant: a backlog or a slow-disk benchmark can drive any server on any port with it.
"""

import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.arrivals import Arrivals
from bench.contestant import SENDER


@dataclass(frozen=True)
class Load:
    """What smtp-source sends.

    reuse  many messages on a connection instead of one
    """

    port: int
    recipient: str
    messages: int
    reuse: bool
    sessions: int = 20
    size: int = 4096

    def command(self) -> list[str]:
        once = ["-d"] if self.reuse else []
        numbers = ["-s", str(self.sessions), "-m", str(self.messages), "-l", str(self.size)]
        return ["smtp-source", *once, *numbers, "-f", SENDER, "-t", self.recipient, f"127.0.0.1:{self.port}"]


@dataclass(frozen=True)
class Outcome:
    """What came of a load; problem is None if all arrived."""

    arrived: int
    seconds: float
    accept_seconds: float
    problem: str | None


def drive(load: Load, arrivals: Arrivals, log: Path, patience: float, deadline: float) -> Outcome:
    """Send it all and wait until all has arrived, or nothing more comes for `patience` seconds, or the deadline."""
    with open(log, "wb") as errors:
        began = time.monotonic()
        source = subprocess.Popen(load.command(), stdout=errors, stderr=errors)
        accepted, last, count, problem = 0.0, began, 0, None
        while count < load.messages and problem is None:
            seen = arrivals.wait(0.05)
            now = time.monotonic()
            if seen > count:
                count, last = seen, now
                time.sleep(0.005)  # one look at many arrivals is cheaper than many looks
            if not accepted and source.poll() is not None:
                accepted = now
                if source.returncode:
                    problem = f"{log.read_text(errors='replace').strip()[-200:]}"
            if now - last > patience or now - began > deadline:
                problem = f"stalled: {count} of {load.messages} arrived"
        if source.poll() is None:
            if problem:
                source.kill()
            source.wait()
    ended = time.monotonic()
    return Outcome(count, last - began, (accepted or ended) - began, problem)


def accept(load: Load) -> tuple[float, float]:
    """Seconds in which a server accepts it all, whatever comes of it, and the CPU seconds of the load itself.

    Raises subprocess.CalledProcessError.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(load.command(), check=True, capture_output=True, timeout=60)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
