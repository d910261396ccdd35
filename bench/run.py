"""The benchmark: Paperpath beside four other mail servers on this machine, and experiments; in one run, one report.

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
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from bench import report, table
from bench.cell import Ports
from bench.comparison import Comparison
from bench.contestant import DOMAIN
from bench.contestants import CONTESTANTS, paperpath
from bench.experiment import Bench
from bench.experiments import EXPERIMENTS
from bench.name_server import ADDRESS, NameServer
from bench.peers import closed_to_others
from bench.plan import FULL, QUICK, SCENARIOS, Settings
from bench.progress import RESULTS, say
from bench.table import Raw

_DOCUMENT = Path("docs/performance.md")
_PICTURES = Path("docs/performance")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=f"Compare mail servers (all mail is for {DOMAIN}).")
    parser.add_argument("--quick", action="store_true", help="a smoke test: little of everything")
    parser.add_argument("--long", action="store_true", help="experiments in the form that says most, however long")
    parser.add_argument("--only", help="contestants, separated by commas: " + ",".join(CONTESTANTS))
    parser.add_argument("--scenarios", help="scenarios, or none: " + ",".join(s.name for s in SCENARIOS))
    parser.add_argument("--experiments", help="experiments, or none: " + ",".join(EXPERIMENTS))
    parser.add_argument("--rounds", type=int, help=f"rounds, if the budget allows (default {FULL.rounds})")
    parser.add_argument("--messages", type=int, help=f"messages a run (default {FULL.messages})")
    parser.add_argument("--budget", type=float, help=f"seconds after which no round begins (default {FULL.budget:.0f})")
    parser.add_argument("--folder", type=Path, default=RESULTS / "spool", help="where spools are made")
    parser.add_argument("--python", type=Path, help="the Python that runs Paperpath, such as make image-python's")
    parser.add_argument("--keep", action="store_true", help="leave the spools, configurations and logs there")
    parser.add_argument(
        "--write", action="store_true", help=f"put the report into {_DOCUMENT}, pictures into {_PICTURES}"
    )
    parser.add_argument("--table", type=Path, metavar="JSON", help="measure nothing, show this earlier run")
    return parser.parse_args()


def _settings(args: argparse.Namespace) -> Settings:
    given = {name: getattr(args, name) for name in ("rounds", "messages", "budget") if getattr(args, name)}
    return replace(QUICK if args.quick else FULL, **given)


def _chosen(text: str | None, known: list[str]) -> list[str]:
    if text == "none":
        return []
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


def _experiment(name: str, bench: Bench) -> Raw:
    """One experiment's figures, or why there are none."""
    experiment = EXPERIMENTS[name]
    problem = experiment.missing()
    if problem:
        return {"problem": problem}
    bench.folder.mkdir()
    bench.folder.chmod(0o755)
    began = time.monotonic()
    try:
        found = experiment.measure(bench)
    except (RuntimeError, OSError) as error:
        say(f"{name}: failed: {error}")
        return {"problem": f"failed: {error}"}
    seconds = time.monotonic() - began
    say(f"{name}: {seconds:.0f} s")
    return {"problem": None, "seconds": seconds, "raw": found}


def _measured(args: argparse.Namespace) -> Raw:
    folder: Path = args.folder.absolute() / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    names = _chosen(args.only, list(CONTESTANTS))
    scenarios = _chosen(args.scenarios, [scenario.name for scenario in SCENARIOS])
    experiments = _chosen(args.experiments, list(EXPERIMENTS))
    settings, ports = _settings(args), Ports()
    try:
        _check_machine(folder)
        comparison = Comparison(settings, names, scenarios, folder, ports)
        os.sync()
        comparison.measure_machine()
        with name_server_if_root():
            comparison.measure()
        for name in experiments:
            bench = Bench(folder / name, ports, settings, args.quick, args.long, say)
            comparison.raw["experiments"][name] = _experiment(name, bench)
        result = RESULTS / f"{folder.name}.json"
        result.write_text(json.dumps(comparison.raw, indent=1))
        say(f"raw figures: {result}")
    finally:
        if not args.keep:
            shutil.rmtree(folder)
    return comparison.raw


def _draw(raw: Raw, folder: Path) -> None:
    from bench import pictures  # noqa: PLC0415  # all but this does without the plotting library

    for path in pictures.draw(raw, folder):
        say(f"picture: {path}")


def name_server_if_root() -> AbstractContextManager[object]:
    """The name server, which needs port 53 of its loopback address; only servers that need root ask it."""
    try:
        return nullcontext() if os.geteuid() else NameServer()
    except OSError as cause:
        raise SystemExit(f"port 53 of {ADDRESS} is not to be had ({cause}): does another benchmark run?") from cause


def main() -> int:
    """Measure, or read an earlier run; show the report, and put it into the document if told to."""
    args = _arguments()
    if args.python:
        try:
            paperpath.use(args.python)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"--python: {error}") from error
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian puts smtp-source and the servers, and users have no path
    raw: Raw = json.loads(args.table.read_text()) if args.table else _measured(args)
    text = report.render(raw)
    print(text)
    if args.write or not args.table:  # an earlier run's pictures: python -m bench.pictures
        _draw(raw, _PICTURES if args.write else RESULTS / "pictures")
    if args.write:
        _DOCUMENT.write_text(table.put_between_markers(_DOCUMENT.read_text(), text))
    return 1 if any(run["lost"] or run["duplicated"] for run in raw["runs"] if not run["problem"]) else 0


if __name__ == "__main__":
    sys.exit(main())
