"""Throughput on a disk whose fsync takes long: how far one sync for many messages carries (goal 7)."""

import time
from pathlib import Path
from statistics import median

from bench import slow_disk
from bench.cell import arrivals_of, running
from bench.contestant import MAILBOX, Contestant
from bench.contestants import CONTESTANTS
from bench.experiment import Bench, Goal
from bench.load import Load, drive
from bench.machine import fsync_seconds
from bench.plan import in_turn
from bench.slow_disk import SlowDisk
from bench.table import Raw, figure

TITLE = "A slow disk"
SECONDS = 60

_OURS, _BASE = "paperpath", "postfix"
_NAMES = [_OURS, _BASE]
_MESSAGES = {_OURS: 3000, _BASE: 1200}
_SESSIONS = 50
_CURVE, _FURTHER = (0.0, 0.001, 0.002, 0.010), (0.020, 0.050)  # seconds an fsync, once each
_GOAL, _TIMES = 0.005, 8.0  # and this one in several rounds; how many times Postfix's messages/s is asked for
_ROUNDS = 3


def missing() -> str | None:
    """Why it can't run here."""
    return slow_disk.missing() or next(filter(None, (CONTESTANTS[name].missing() for name in _NAMES)), None)


def measure(bench: Bench) -> Raw:
    """Runs of both, interleaved, on one file system: rates in messages/s, the delay of an fsync in ms."""
    raw: Raw = {"sessions": _SESSIONS, "fsync_ms": {}, "runs": []}
    with SlowDisk(bench.folder) as disk:
        for delay in _delays(bench):
            disk.delay(delay)
            raw["fsync_ms"].setdefault(f"{delay * 1e3:g}", fsync_seconds(disk.folder, 50) * 1e3)
            for name in in_turn(_NAMES, len(raw["runs"]) // 2):
                run = _run(bench, disk, delay, name)
                raw["runs"].append({"contestant": name, "delay_ms": delay * 1e3, **run})
                bench.say(f"slow disk: {delay * 1e3:4.0f} ms an fsync, {name:9} {run['rate']:5.0f}/s")
    return raw


def _delays(bench: Bench) -> list[float]:
    """One for each pair of runs; the first round of all brings each once."""
    if bench.quick:
        return [_GOAL]
    if bench.long:
        return [_GOAL, *_CURVE, *_FURTHER] * _ROUNDS
    return [_GOAL, *_CURVE[:2], _GOAL, *_CURVE[2:], _GOAL]


def _run(bench: Bench, disk: SlowDisk, delay: float, name: str) -> Raw:
    """One contestant under one load; only that is slowed down, not its start. Raises RuntimeError if it stalls."""
    contestant: Contestant = CONTESTANTS[name]
    messages = _MESSAGES[name] // (4 if bench.quick else 1)
    disk.delay(0)
    folder = disk.folder / f"{name}-{time.monotonic_ns()}"
    with (
        running(contestant, folder, "maildir", bench.ports.take(), bench.settings.settle) as one,
        arrivals_of(one) as arrivals,
    ):
        disk.delay(delay)
        before = one.tree.cpu_seconds()
        load = Load(one.place.port, MAILBOX, messages, reuse=False, sessions=_SESSIONS, size=bench.settings.size)
        outcome = drive(load, arrivals, _log(folder), bench.settings.patience, bench.settings.deadline)
        cpu = one.tree.cpu_seconds() - before
        disk.delay(0)
    if outcome.problem:
        raise RuntimeError(f"{name}: {outcome.problem}")
    return {
        "messages": messages,
        "rate": outcome.arrived / outcome.seconds,
        "accept_rate": outcome.arrived / outcome.accept_seconds,
        "cpu_ms": cpu / outcome.arrived * 1e3,
    }


def _log(folder: Path) -> Path:
    return folder / "source.log"


def rates(raw: Raw, name: str, delay_ms: float) -> list[float]:
    """Messages/s of a contestant at a delay of fsync, one for each round."""
    return [run["rate"] for run in raw["runs"] if run["contestant"] == name and run["delay_ms"] == delay_ms]


def table(raw: Raw) -> str:
    """A row for each delay."""
    delays = sorted({run["delay_ms"] for run in raw["runs"]})
    rows = []
    for delay in delays:
        ours, base = (median(rates(raw, name, delay)) for name in _NAMES)
        found = figure(raw["fsync_ms"][f"{delay:g}"])
        rows.append(f"| {delay:g} ms | {found} ms | {ours:,.0f} | {base:,.0f} | {ours / base:.2f} x |")
    head = f"To one Maildir, a connection each, {raw['sessions']} sessions, messages/s until all are delivered; medians.\n\n"
    columns = "| fsync, asked | measured | Paperpath | Postfix | ratio |\n| --- | --- | --- | --- | --- |\n"
    return head + columns + "\n".join(rows)


def goals(raw: Raw) -> list[Goal]:
    """Goal 7."""
    ours, base = (median(rates(raw, name, _GOAL * 1e3)) for name in _NAMES)
    asked = f"{_GOAL * 1e3:.0f} ms an fsync, {raw['sessions']} sessions: {_TIMES:.0f} x Postfix's messages/s"
    return [Goal(7, asked, f"{ours / base:.2f} x", ours / base >= _TIMES)]
