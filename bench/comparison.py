"""The table beside the peers: rounds in which each contestant has each load once."""

import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from bench import machine
from bench.cell import Ports, latency_cell, load_cell
from bench.contestants import CONTESTANTS
from bench.plan import EVERY_ROUND, SCENARIOS, Scenario, Settings, another_round, in_turn
from bench.progress import RESULTS, say
from bench.table import Raw


class Comparison:
    """Rounds of the table: what is measured, and the raw figures so far."""

    def __init__(self, settings: Settings, names: list[str], scenarios: list[str], folder: Path, ports: Ports) -> None:
        self._settings, self._folder, self._ports = settings, folder, ports
        self._scenarios = [scenario for scenario in SCENARIOS if scenario.name in scenarios]
        self._began = time.monotonic()
        self._costs: defaultdict[str, float] = defaultdict(float)  # seconds of a contestant in the last round
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
            "experiments": {},
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
        """Rounds as the budget allows: each cell of each contestant once a round, contestants in turn.

        Those that are neither Paperpath nor the one it is compared with take part in the first round only.
        """
        done = 0
        while self._scenarios:
            names = self._names if done == 0 else [name for name in self._names if name in EVERY_ROUND]
            expected, elapsed = sum(self._costs[name] for name in names), time.monotonic() - self._began
            if not names or not another_round(done, self._settings.rounds, elapsed, expected, self._settings.budget):
                break
            self._costs.clear()
            self._round(done, names)
            done += 1
            self.raw["rounds"] = done

    def _round(self, number: int, names: list[str]) -> None:
        for turn, scenario in enumerate(self._scenarios):
            for name in in_turn(names, number + turn):
                if (name, scenario.name) not in self._hopeless and not self._left_out(name, scenario):
                    with self._counted(name):
                        self._load(number, name, scenario)
        for name in in_turn(names, number):
            with self._counted(name):
                self._latency(number, name)

    def _left_out(self, name: str, scenario: Scenario) -> bool:
        """Beside Paperpath and Postfix the slow peers show one way of connecting; alone (`--only`) both."""
        return scenario.reuse and name not in EVERY_ROUND and any(one in EVERY_ROUND for one in self._names)

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        """The seconds of a contestant's cells, by which the next round's length is foreseen."""
        began = time.monotonic()
        yield
        self._costs[name] += time.monotonic() - began

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
            log = RESULTS / f"{self._folder.name}-{folder.name}.log"
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
