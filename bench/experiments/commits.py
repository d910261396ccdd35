"""Commit latency: from a message at the queue's door until it is durable, folds of the journal included (goal 10).

A client at the intake door sends single messages at a steady pace to a whole, running Paperpath, whose local program
delivers them meanwhile: what is timed is what smtpd waits for before it says 250.
"""

import socket
import time
from pathlib import Path
from statistics import median, quantiles

from bench.arrivals import Maildir
from bench.cell import running
from bench.contestant import MAILBOX, SENDER
from bench.contestants import paperpath
from bench.experiment import Bench, Goal
from bench.side_by_side import Later
from bench.table import Raw, figure

TITLE = "Commit latency"
SECONDS = 14

_PACES = (100, 1000)  # messages/s; at the second one the journal is folded every other second
_SIZE = 4096
_DURATION = 4.0  # seconds a pace


def missing() -> str | None:
    """Why it can't run here."""
    return paperpath.missing()


def measure(bench: Bench) -> Raw:
    """Every single latency in ms, for each pace."""
    found = {}
    with (
        running(paperpath, bench.folder / "paperpath", "maildir", bench.ports.take(), bench.settings.settle) as one,
        Maildir(one.start.maildir) as maildir,
    ):
        state = one.place.folder / "state"
        for pace in _PACES:
            arrivals = Later(maildir)
            seconds = 1.0 if bench.quick else _DURATION * (5 if bench.long else 1)
            times = _paced(state, pace, int(pace * seconds))
            deadline = time.monotonic() + bench.settings.patience
            while arrivals.wait(0.05) < len(times) and time.monotonic() < deadline:
                pass
            found[str(pace)] = {"ms": times, "delivered": arrivals.wait(0)}
            bench.say(f"commits {pace:5}/s: {median(times):.2f} ms")
    return {"paces": found}


def _paced(state: Path, pace: int, messages: int) -> list[float]:
    """Milliseconds of each answer; one message at a time, each begun when its moment comes or the last is answered."""
    from appliance import intake  # noqa: PLC0415  # an earlier run's report needs no package

    body = b"From: <bench@client.example>\n\n" + b"x" * 70 + b"\n"
    request = intake.request(SENDER.encode(), [MAILBOX.encode()], body.ljust(_SIZE, b"x"))
    times = []
    with _entered(state) as door:
        start = time.perf_counter()
        for number in range(messages):
            time.sleep(max(0.0, start + number / pace - time.perf_counter()))
            began = time.perf_counter()
            door.sendall(request)
            answer = door.recv(4096)
            times.append((time.perf_counter() - began) * 1e3)
            if b":K" not in answer:
                raise RuntimeError(f"the queue answered {answer!r}")
    return times


def _entered(state: Path) -> socket.socket:
    """A connection at the intake door that has said who it is."""
    from appliance import door  # noqa: PLC0415
    from appliance.state import State  # noqa: PLC0415

    place = State(state)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(str(place.door("intake")))
    sock.sendall(door.hello("smtpd", door.read_token(place, "smtpd")))
    return sock


def table(raw: Raw) -> str:
    """A row for each pace."""
    rows = ["| messages/s | median | 95th | 99th | slowest |", "| --- | --- | --- | --- | --- |"]
    for pace, found in raw["paces"].items():
        cuts = _percentiles(found["ms"])
        cells = [figure(value) + " ms" for value in (cuts[50], cuts[95], cuts[99], max(found["ms"]))]
        rows.append(f"| {int(pace):,} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def goals(raw: Raw) -> list[Goal]:
    """Goal 10 asks for the figure; it sets no bound."""
    return [
        Goal(
            10,
            f"commit latency, 99th percentile, at {int(pace):,}/s",
            f"{figure(_percentiles(one['ms'])[99])} ms",
            True,
        )
        for pace, one in raw["paces"].items()
        if one["delivered"] == len(one["ms"])
    ]


def _percentiles(values: list[float]) -> list[float]:
    """The 100 cuts' upper ends: [50] is the median, [99] the 99th percentile; [0] is the least."""
    return [min(values), *quantiles(values, n=100, method="inclusive")]
