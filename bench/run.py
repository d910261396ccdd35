"""The side-by-side benchmark: Paperpath and four other mail servers on this machine, in one run, one table.

docs/performance.md says what is measured and how. Raw figures go to build/bench/*.json.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench import machine, table
from bench.cell import Ports, latency_cell, load_cell
from bench.contestant import DOMAIN
from bench.contestants import CONTESTANTS
from bench.name_server import ADDRESS, NameServer
from bench.peers import closed_to_others
from bench.plan import FULL, QUICK, SCENARIOS, Scenario, Settings, another_round, in_turn
from bench.table import Raw

_RESULTS = Path("build/bench")
_DOCUMENT = Path("docs/performance.md")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=f"Compare mail servers (all mail is for {DOMAIN}).")
    parser.add_argument("--quick", action="store_true", help="a smoke test of two minutes")
    parser.add_argument("--only", help="contestants, separated by commas: " + ",".join(CONTESTANTS))
    parser.add_argument("--scenarios", help="scenarios, separated by commas: " + ",".join(s.name for s in SCENARIOS))
    parser.add_argument("--rounds", type=int, help=f"rounds, if the budget allows (default {FULL.rounds})")
    parser.add_argument("--messages", type=int, help=f"messages a run (default {FULL.messages})")
    parser.add_argument("--budget", type=float, help=f"seconds after which no round begins (default {FULL.budget:.0f})")
    parser.add_argument("--folder", type=Path, default=_RESULTS / "spool", help="where spools are made")
    parser.add_argument("--keep", action="store_true", help="leave the spools, configurations and logs there")
    parser.add_argument("--write", action="store_true", help=f"put the table into {_DOCUMENT}")
    parser.add_argument("--table", type=Path, metavar="JSON", help="measure nothing, show this earlier run")
    return parser.parse_args()


def _settings(args: argparse.Namespace) -> Settings:
    given = {name: getattr(args, name) for name in ("rounds", "messages", "budget") if getattr(args, name)}
    return replace(QUICK if args.quick else FULL, **given)


def _chosen(text: str | None, known: list[str]) -> list[str]:
    names = text.split(",") if text else known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return [name for name in known if name in names]


def _check_machine(folder: Path) -> None:
    for tool in ("smtp-source", "smtp-sink"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is missing: install Debian's package postfix")
    closed = closed_to_others(folder / "spool")
    if os.geteuid() == 0 and closed:
        raise SystemExit(f"the servers run as ordinary users, who may not enter {closed}: choose another --folder")


class Benchmark:
    """A run of the whole benchmark: what is measured, and the raw figures so far."""

    def __init__(self, settings: Settings, names: list[str], scenarios: list[str], folder: Path) -> None:
        self._settings, self._folder, self._ports = settings, folder, Ports()
        self._scenarios = [scenario for scenario in SCENARIOS if scenario.name in scenarios]
        self._began = time.monotonic()
        self._hopeless: set[tuple[str, str]] = set()  # stalled once: not waited for again
        about = {name: self._about(name) for name in names}
        self._names = [name for name in names if not about[name]["missing"]]
        if not self._names:
            raise SystemExit(
                "nothing to measure: " + "; ".join(f"{name}: {one['missing']}" for name, one in about.items())
            )
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        self.raw: Raw = {
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "commit": commit.stdout.strip() or "unknown",
            "settings": vars(settings),
            "contestants": about,
            "rounds": 0,
            "runs": [],
            "latency": [],
        }

    @staticmethod
    def _about(name: str) -> Raw:
        contestant = CONTESTANTS[name]
        missing = contestant.missing()
        version = "" if missing else contestant.version()
        return {"title": contestant.TITLE, "version": version, "durability": contestant.DURABILITY, "missing": missing}

    def measure_machine(self) -> None:
        self.raw["machine"] = machine.facts(self._folder)
        self.raw["limits"] = machine.limits(self._folder, self._ports.take())

    def measure(self) -> None:
        """Rounds as the budget allows: each cell of each contestant once a round, contestants in turn."""
        last, done = 0.0, 0
        while another_round(done, self._settings.rounds, time.monotonic() - self._began, last, self._settings.budget):
            began = time.monotonic()
            self._round(done)
            done += 1
            last = time.monotonic() - began
            self.raw["rounds"] = done

    def _round(self, number: int) -> None:
        for turn, scenario in enumerate(self._scenarios):
            for name in in_turn(self._names, number + turn):
                if (name, scenario.name) not in self._hopeless:
                    self._load(number, name, scenario)
        for name in in_turn(self._names, number):
            self._latency(number, name)

    def _load(self, number: int, name: str, scenario: Scenario) -> None:
        run: Raw = {"contestant": name, "scenario": scenario.name, "round": number, "lost": 0, "duplicated": 0}
        folder = self._folder / f"{number}-{scenario.name}-{name}"
        try:
            run |= load_cell(CONTESTANTS[name], folder, scenario, self._ports.take(), self._settings)
        except (RuntimeError, OSError) as error:
            run["problem"] = f"failed: {error}"
        if run["problem"]:
            self._hopeless.add((name, scenario.name))
            say(f"{number} {scenario.name:14} {name:10} {run['problem']}")
            self._keep_log(folder)
        else:
            account = f"lost {run['lost']}, duplicated {run['duplicated']}"
            say(f"{number} {scenario.name:14} {name:10} {run['rate']:6.0f}/s {run['cpu_ms']:6.2f} ms, {account}")
        self.raw["runs"].append(run)

    def _keep_log(self, folder: Path) -> None:
        """What a contestant that stalled had to say outlives its folder."""
        with suppress(OSError):
            log = _RESULTS / f"{self._folder.name}-{folder.name}.log"
            shutil.copy(folder / "output.log", log)
            say(f"its output: {log}")

    def _latency(self, number: int, name: str) -> None:
        found: Raw = {"contestant": name, "round": number, "visible_ms": [], "problem": None}
        folder = self._folder / f"{number}-latency-{name}"
        try:
            found |= latency_cell(CONTESTANTS[name], folder, self._ports.take(), self._settings)
            say(f"{number} {'latency':14} {name:10} {median(found['visible_ms']):6.2f} ms")
        except (RuntimeError, OSError) as error:
            found["problem"] = f"failed: {error}"
            say(f"{number} {'latency':14} {name:10} {found['problem']}")
        self.raw["latency"].append(found)


def say(line: str) -> None:
    """Progress, apart from the table on stdout."""
    print(line, file=sys.stderr, flush=True)


def _measured(args: argparse.Namespace) -> Raw:
    folder: Path = args.folder.absolute() / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    names = _chosen(args.only, list(CONTESTANTS))
    scenarios = _chosen(args.scenarios, [scenario.name for scenario in SCENARIOS])
    try:
        _check_machine(folder)
        benchmark = Benchmark(_settings(args), names, scenarios, folder)
        os.sync()
        benchmark.measure_machine()
        with name_server_if_root():
            benchmark.measure()
    finally:
        if not args.keep:
            shutil.rmtree(folder)
    result = _RESULTS / f"{folder.name}.json"
    result.write_text(json.dumps(benchmark.raw, indent=1))
    say(f"raw figures: {result}")
    return benchmark.raw


def name_server_if_root() -> AbstractContextManager[object]:
    """The name server, which needs port 53 of its loopback address; only servers that need root ask it."""
    try:
        return nullcontext() if os.geteuid() else NameServer()
    except OSError as cause:
        raise SystemExit(f"port 53 of {ADDRESS} is not to be had ({cause}): does another benchmark run?") from cause


def main() -> int:
    """Measure, or read an earlier run; show the table, and put it into the document if told to."""
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian puts smtp-source and the servers, and users have no path
    raw: Raw = json.loads(args.table.read_text()) if args.table else _measured(args)
    text = table.render(raw)
    print(text)
    if args.write:
        _DOCUMENT.write_text(table.put_between_markers(_DOCUMENT.read_text(), text))
    return 1 if any(run["lost"] or run["duplicated"] for run in raw["runs"] if not run["problem"]) else 0


if __name__ == "__main__":
    sys.exit(main())
