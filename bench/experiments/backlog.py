"""Other mail beside a long backlog for one host: throughput, start, memory, `queue list` (goal 5).

Cases: nothing waits; messages wait that are due later; all of them are due when Paperpath starts, and their host refuses
connections, or takes them and says nothing. Each start reads the database from the disk, not from the page cache.
"""

import socket
import time
from statistics import median
from typing import TYPE_CHECKING

from bench.contestants import paperpath
from bench.experiment import Bench, Goal
from bench.table import Raw, figure, spread

if TYPE_CHECKING:
    from bench.backlogged import Prepared, Started

TITLE = "A long backlog"
SECONDS = 110

_HOURS = 4 * 3600.0  # seconds until mail that is due later falls due
_NONE, _LATER, _REFUSED, _SILENT = "nothing waits", "due later", "all due, host refuses", "all due, host is silent"
_AS_FAST, _START, _MORE_MIB = 0.9, 5.0, 100
_LIST_MIB = 20  # the queue may grow by so much during a list, whatever its length: SQLite's page cache is 16 MiB
_WAYS = ("maildir", "relay")
_ROUNDS, _ROUNDS_BETWEEN = 4, 2  # of the cases that a goal is about, and of those that are only points of the curve


def missing() -> str | None:
    """Why it can't run here."""
    return paperpath.missing()


def measure(bench: Bench) -> Raw:
    """Rounds of starts, each case in turn; the list in the last one."""
    waiting = 20_000 if bench.quick else 1_000_000 if bench.long else 200_000
    between = () if bench.quick else (10_000, 100_000)
    rounds = 1 if bench.quick else 5 if bench.long else _ROUNDS
    raw: Raw = {"waiting": waiting, "runs": [], "starts": [], "list": None}
    with socket.create_server(("127.0.0.1", 0), backlog=5) as silent:  # the kernel accepts, nobody speaks
        cases = _prepared(bench, waiting, between, silent.getsockname()[1])
        for number in range(rounds):
            order = list(reversed(cases)) if number % 2 else list(cases)  # if the machine grows slower, for all
            for case, count in order:
                if count in between and number >= _ROUNDS_BETWEEN:
                    continue
                listing = number == rounds - 1 and (case, count) == (_LATER, waiting)
                _round(bench, raw, case, count, cases[case, count], listing=listing)
    return raw


def _prepared(bench: Bench, waiting: int, between: tuple[int, ...], silent: int) -> "dict[tuple[str, int], Prepared]":
    from bench.backlogged import Prepared  # noqa: PLC0415  # an earlier run's report needs no package

    wanted = [(_NONE, 0), *((_LATER, n) for n in (*between, waiting)), (_REFUSED, waiting), (_SILENT, waiting)]
    found = {}
    for number, (case, count) in enumerate(wanted):
        began = time.monotonic()
        due = time.time() + (_HOURS if case == _LATER else -1.0)
        host = silent if case == _SILENT else bench.ports.take()
        found[case, count] = Prepared(bench.folder / str(number), (bench.ports.take(), host), count, due)
        bench.say(f"backlog {case}: {count:,} written in {time.monotonic() - began:.1f} s")
    return found


def _round(bench: Bench, raw: Raw, case: str, count: int, prepared: "Prepared", *, listing: bool) -> None:
    """One start: a load each way at once, and again; the last of those that wait between are for the curve only."""
    from bench.backlogged import Listing, started  # noqa: PLC0415

    messages = 500 if bench.quick else 3000 if bench.long else 1500
    with started(prepared, bench.settings) as one:
        raw["starts"].append(start := {"case": case, "waiting": count, "greeted": one.greeted, "ready": one.ready})
        full = count in (0, raw["waiting"])
        for when in ("at start", "later") if full else ("at start",):
            for way in _WAYS:
                _load(raw, one, messages, {"case": case, "waiting": count, "when": when, "way": way})
        if full:
            start["bytes"] = one.memory()
        if listing:
            alone = Listing(one)
            alone.join()
            beside = Listing(one)
            for way in _WAYS:
                _load(raw, one, messages, {"case": case, "waiting": count, "when": "list", "way": way})
            ended = not beside.is_alive()
            beside.join()
            raw["list"] = {"alone": alone.figures, "beside": beside.figures, "ended_before_the_load": ended}
    rates = ", ".join(f"{run['rate']:.0f}" for run in raw["runs"] if (run["case"], run["waiting"]) == (case, count))
    bench.say(f"backlog {case} ({count:,}): ready after {start['ready']:.2f} s; {rates}/s")


def _load(raw: Raw, one: "Started", messages: int, about: Raw) -> None:
    run = about | one.rate(about["way"], messages)
    if about["way"] == "maildir" and about["case"] in (_NONE, _LATER) and about["when"] == "at start":
        run["backlog"] = about["waiting"]  # a point of the curve
    raw["runs"].append(run)


def table(raw: Raw) -> str:
    """A row for each case."""
    rows = [
        "| what waits | to Maildir: messages/s | relayed: messages/s | … CPU ms a message | ready | memory (PSS) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case, count in dict.fromkeys((start["case"], start["waiting"]) for start in raw["starts"]):
        name = f"{count:,} {case}" if count else case
        for when in ("at start", "later"):
            cells = [_text(_figures(raw, case, count, when, way, "rate")) for way in _WAYS]
            cpu = [_text(_figures(raw, case, count, when, way, "cpu_ms")) for way in _WAYS]
            if not _figures(raw, case, count, when, "maildir", "rate"):
                continue
            ready = f"{max(_starts(raw, case, count, 'ready')):.2f} s" if when == "at start" else ""
            memory = f"{max(_starts(raw, case, count, 'bytes')) / 2**20:.0f} MiB" if when == "later" else ""
            moment = ", at once" if when == "at start" else ", then"
            rows.append(f"| {name}{moment} | {' | '.join(cells)} | {', '.join(cpu)} | {ready} | {memory} |")
    return "\n".join([*rows, "", _about_list(raw)])


def _about_list(raw: Raw) -> str:
    found = raw["list"]
    alone, beside = found["alone"], found["beside"]
    slower = ", ".join(f"{_beside(raw, way):.0%}" for way in _WAYS)
    return (
        f"`queue list --json` of {alone['lines']:,} messages: first line after {alone['first_seconds']:.2f} s, all after "
        f"{alone['seconds']:.1f} s ({beside['seconds']:.1f} s beside a load that goes at {slower} of its speed meanwhile); "
        f"the command takes {alone['command_bytes'] / 2**20:.0f} MiB, the queue "
        f"{max(alone['queue_grew_bytes'], beside['queue_grew_bytes']) / 2**20:.1f} MiB more than before."
    )


def goals(raw: Raw) -> list[Goal]:
    """Goal 5."""
    count = raw["waiting"]
    found = []
    for case in (_LATER, _REFUSED, _SILENT):
        parts = {way: _part(raw, case, "later", way) for way in _WAYS}
        found.append(_fast(f"{count:,} messages wait for a dead host ({case})", parts))
    for case in (_REFUSED, _SILENT):
        parts = {way: _part(raw, case, "at start", way) for way in _WAYS}
        found.append(_fast(f"the same in the first seconds after a start ({case})", parts))
    ready = max(start["ready"] for start in raw["starts"])
    found.append(Goal(5, f"start with {count:,} below {_START:.0f} s", f"{ready:.2f} s", ready < _START))
    none = median(_starts(raw, _NONE, 0, "bytes"))
    more = max(max(_starts(raw, case, count, "bytes")) for case in (_LATER, _REFUSED, _SILENT)) - none
    found.append(
        Goal(5, f"memory grows by less than {_MORE_MIB} MiB", f"{more / 2**20:.0f} MiB", more < _MORE_MIB * 2**20)
    )
    alone = raw["list"]["alone"]
    grew = max(raw["list"][way]["queue_grew_bytes"] for way in ("alone", "beside")) / 2**20
    reached = f"first line after {alone['first_seconds']:.2f} s, the queue grows by {grew:.1f} MiB"
    streams = alone["first_seconds"] < 1.0 and grew < _LIST_MIB and alone["lines"] >= count
    return [*found, Goal(5, "`queue list --json` streams", reached, streams)]


def _fast(what: str, parts: dict[str, float]) -> Goal:
    reached = ", ".join(f"{way} {part:.0%}" for way, part in parts.items())
    return Goal(5, f"{what}: others at least {_AS_FAST:.0%} as fast", reached, min(parts.values()) >= _AS_FAST)


def _part(raw: Raw, case: str, when: str, way: str) -> float:
    """The rate beside a backlog as a part of that beside none at the same moment after the start: the median of the rounds."""
    waiting = _figures(raw, case, raw["waiting"], when, way, "rate")
    none = _figures(raw, _NONE, 0, when, way, "rate")
    return median(a / b if b else 0.0 for a, b in zip(waiting, none, strict=True))


def _beside(raw: Raw, way: str) -> float:
    """The rate during a list as a part of that before it."""
    case = (raw, _LATER, raw["waiting"])
    return median(_figures(*case, "list", way, "rate")) / median(_figures(*case, "later", way, "rate"))


def _figures(raw: Raw, case: str, count: int, when: str, way: str, key: str) -> list[float]:
    """Of the loads that came to their end; of the others the rate is 0."""
    chosen = (case, count, when, way)
    runs = [run for run in raw["runs"] if (run["case"], run["waiting"], run["when"], run["way"]) == chosen]
    return [0.0 if run["problem"] and key == "rate" else run[key] for run in runs]


def _starts(raw: Raw, case: str, count: int, key: str) -> list[float]:
    return [s[key] for s in raw["starts"] if (s["case"], s["waiting"]) == (case, count) and key in s]


def _text(values: list[float]) -> str:
    if not values:
        return ""
    return figure(median(values)) + (f" ±{spread(values):.0%}" if len(values) > 1 else "")
