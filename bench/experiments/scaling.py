"""What saturates first, with 1 and 2 cores as they are, and 1, 2, 4, 8 simulated ones (goal 9)."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import slow_cores
from bench.cell import Running, arrivals_of, running
from bench.contestant import ELSEWHERE, MAILBOX, Contestant, Mode, WithMore
from bench.contestants import paperpath
from bench.experiment import Bench, Goal
from bench.load import Load, drive
from bench.scaling_model import CORES, Costs, Processes, enough, first, limits
from bench.table import Raw, figure

TITLE = "Scaling: what saturates first"
SECONDS = 47

_DEFAULT: Processes = {"smtpd": 2, "local": 1, "remote": 1, "queue": 1}
_SIMULATED = (1, 2, 4, 8)
_SESSIONS = 200  # for the simulation: each waits for its process's turn, a hundredth of a second
_SECONDS = 2.0  # of a simulated run


def _sized(processes: Processes, cores: str = "") -> Contestant:
    """Paperpath with so many processes, on these cores."""
    several = ", ".join(f"{program}: {n}" for program, n in processes.items() if program != "queue")
    lines = f"processes: {{{several}}}\nlimits: {{sessions_per_client: 2000}}\n"
    return WithMore(paperpath, paperpath.CONFIG, lambda _: lines, ["taskset", "-c", cores] if cores else ())


def missing() -> str | None:
    """Why it can't run here."""
    return paperpath.missing() or (None if shutil.which("taskset") else "taskset is missing (Debian's util-linux)")


def measure(bench: Bench) -> Raw:
    """Real cores, the queue alone, simulated cores; rates in messages/s, CPU in seconds a message by program."""
    count = len(os.sched_getaffinity(0))
    messages = 600 if bench.quick else 4000
    real = [_real(bench, mode, cores, messages) for mode in _MODES for cores in (1, 2) if cores <= count]
    alone = _queue_alone(2000 if bench.quick else 20000)
    raw: Raw = {"cores": count, "real": real, "queue_alone": alone, "simulated": [], "no_simulation": None}
    raw["no_simulation"] = slow_cores.missing()
    if raw["no_simulation"] is None:
        for mode in _MODES if bench.long else _MODES[:1]:
            costs = _costs(raw, mode)
            for cores in _SIMULATED:
                for processes in _choices(costs, cores):
                    raw["simulated"].append(_simulated(bench, mode, cores, processes, costs))
    return raw


_MODES: tuple[Mode, ...] = ("maildir", "relay")


def _choices(costs: Costs, cores: int) -> list[Processes]:
    """From few processes to as many as suffice; the whole ladder only where there are cores for it."""
    wanted = {**_DEFAULT, **enough(costs, cores)}
    if cores < max(_SIMULATED):
        return [_DEFAULT] if all(wanted[name] <= _DEFAULT[name] for name in wanted) else [_DEFAULT, wanted]
    last = "local" if "local" in costs else "remote"
    steps = ((1, 1), (2, 1), (2, 2), (4, 2))
    return [*({**_DEFAULT, "smtpd": front, last: back} for front, back in steps), wanted]


def _costs(raw: Raw, mode: Mode) -> dict[str, float]:
    """CPU seconds a message of each program, when all the cores are its own."""
    run = [run for run in raw["real"] if run["mode"] == mode][-1]
    return {program: seconds for program, seconds in run["cpu"].items() if program in _programs(mode)}


def _programs(mode: Mode) -> tuple[str, str, str]:
    return ("smtpd", "queue", "local" if mode == "maildir" else "remote")


@contextmanager
def _load_on(cores: set[int]) -> Iterator[None]:
    """What is started meanwhile, and the watcher, run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _real(bench: Bench, mode: Mode, cores: int, messages: int) -> Raw:
    """Paperpath on the first cores; the load on the others, or on the same ones if there are none."""
    every = sorted(os.sched_getaffinity(0))
    ours, others = every[:cores], set(every[cores:]) or set(every)
    contestant = _sized(_DEFAULT, ",".join(map(str, ours)))
    with _running(bench, contestant, mode) as one, _load_on(others):
        found = _drive(bench, one, mode, messages, paperpath.SESSIONS)
    bench.say(f"scaling: {mode}, {cores} cores: {found['rate']:.0f}/s")
    return {**found, "cores": cores, "load": "apart" if others != set(every) else "shared", "processes": _DEFAULT}


def _simulated(bench: Bench, mode: Mode, cores: int, processes: Processes, costs: Costs) -> Raw:
    expected = first(limits(costs, processes, cores))[1] / slow_cores.SHARE
    messages = max(100, int(expected * (_SECONDS if not bench.quick else 1)))
    with _running(bench, _sized(processes), mode) as one, slow_cores.slow_cores(_processes(one).values(), cores):
        found = _drive(bench, one, mode, messages, _SESSIONS)
    found["rate"] *= slow_cores.SHARE
    found["busy"] = {name: part * slow_cores.SHARE for name, part in found["busy"].items()}
    bench.say(f"scaling: {mode}, {cores} simulated cores, {dict(processes)}: {found['rate']:.0f}/s")
    return {**found, "cores": cores, "processes": dict(processes)}


@contextmanager
def _running(bench: Bench, contestant: Contestant, mode: Mode) -> Iterator[Running]:
    folder = bench.folder / f"{time.monotonic_ns()}"
    with running(contestant, folder, mode, bench.ports.take(), bench.settings.settle) as one:
        yield one


def _processes(one: Running) -> dict[str, int]:
    """Pids by the names that the supervisor gave its processes: smtpd-1, queue."""
    found = {Path(f"/proc/{pid}/comm").read_text().strip(): pid for pid in one.tree.members()}
    return {name: pid for name, pid in found.items() if name.partition("-")[0] in _DEFAULT}


def _cpu_seconds(pid: int) -> float:
    """Of all its threads; finer than the clock ticks of /proc/PID/stat."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _drive(bench: Bench, one: Running, mode: Mode, messages: int, sessions: int) -> Raw:
    """Rate, CPU seconds a message by program, and how busy the busiest process of each was. Raises RuntimeError."""
    recipient = ELSEWHERE if mode == "relay" else MAILBOX
    load = Load(one.place.port, recipient, messages, reuse=False, sessions=sessions)
    pids = _processes(one)
    with arrivals_of(one) as arrivals:
        before = {name: _cpu_seconds(pid) for name, pid in pids.items()}
        outcome = drive(load, arrivals, one.place.folder / "source.log", bench.settings.patience, 60)
        used = {name: _cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    if outcome.problem:
        raise RuntimeError(outcome.problem)
    cpu, busy = dict[str, float](), dict[str, float]()
    for name, seconds in used.items():
        program = name.partition("-")[0]
        cpu[program] = cpu.get(program, 0.0) + seconds / messages
        busy[program] = max(busy.get(program, 0.0), seconds / outcome.seconds)
    return {"mode": mode, "messages": messages, "rate": messages / outcome.seconds, "cpu": cpu, "busy": busy}


def _queue_alone(messages: int) -> Raw:
    """Cycles/s of the queue process when all that feeds it is quicker, and its CPU microseconds a cycle."""
    command = [sys.executable, "-m", "bench.queue_cycle", str(messages), "4096", "200", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    found: Raw = json.loads(done.stdout)
    return found


def table(raw: Raw) -> str:
    """Real cores, the queue alone, simulated cores beside what the model says."""
    alone = raw["queue_alone"]
    queue = (
        f"The queue alone (`bench/queue_cycle.py`, 200 requests in flight): {figure(alone['cycles'])} messages/s in and out, "
        f"{alone['cpu_us']:.0f} us of CPU each, so {figure(1e6 / alone['cpu_us'])}/s at a whole core."
    )
    simulated = f"Not simulated: {raw['no_simulation']}."
    if raw["no_simulation"] is None:
        simulated = f"{_SIMULATION}\n\n{_simulated_table(raw)}"
    return "\n\n".join([_REAL, _real_table(raw), queue, simulated])


_REAL = (
    "Default processes. The load runs on the other core, or on the same ones where that is said. A program's CPU time a "
    "message, and how much of a core its busiest process used:"
)
_SIMULATION = (
    "Simulated cores: each process may use a tenth of a core, all together N tenths; messages/s times ten, 200 sessions. "
    "The disk is ten times too quick for that, so fewer messages share a commit than would on such a machine. Computed: "
    "from the CPU times of two real cores."
)


def _real_table(raw: Raw) -> str:
    rows = [["", "messages/s", "smtpd", "queue", "local or remote", "all of them"], ["---"] * 6]
    for run in raw["real"]:
        programs = _programs(run["mode"])
        cells = [f"{run['cpu'][name] * 1e6:.0f} us, {run['busy'][name]:.0%}" for name in programs]
        whole = sum(run["cpu"][name] for name in programs)
        title = f"{_TITLES[run['mode']]}, {_cores(run['cores'])}" + (", load too" if run["load"] == "shared" else "")
        used = whole * run["rate"] / run["cores"]
        rows.append([title, figure(run["rate"]), *cells, f"{whole * 1e6:.0f} us, {used:.0%} of {_cores(run['cores'])}"])
    return _markdown(rows)


_TITLES = {"maildir": "to Maildir", "relay": "relayed"}


def _cores(count: int) -> str:
    return f"{count} core" + ("s" if count > 1 else "")


def _simulated_table(raw: Raw) -> str:
    rows = [["cores", "processes", "simulated messages/s", "busiest", "computed", "saturates first"], ["---"] * 6]
    for run in raw["simulated"]:
        rate, what = _predicted(raw, run)
        name, busy = _busiest(run)
        title = f"{run['cores']}" + ("" if run["mode"] == "maildir" else ", relayed")
        rows.append([title, _several(run), figure(run["rate"]), f"{name}, {busy:.0%}", figure(rate), what])
    return _markdown(rows)


def _predicted(raw: Raw, run: Raw) -> tuple[float, str]:
    what, rate = first(limits(_costs(raw, run["mode"]), run["processes"], run["cores"]))
    return rate, what


def _busiest(run: Raw) -> tuple[str, float]:
    """What was nearest to its limit: a program's process, or all the cores."""
    busy: dict[str, float] = {**run["busy"], CORES: sum(run["cpu"].values()) * run["rate"] / run["cores"]}
    return max(busy.items(), key=lambda one: one[1])


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def goals(raw: Raw) -> list[Goal]:
    """Whether more processes help until the queue is what saturates."""
    most = max((run["cores"] for run in raw["simulated"]), default=0)
    ladder = [run for run in raw["simulated"] if run["cores"] == most and run["mode"] == "maildir"]
    if not ladder:
        return []
    least, best = ladder[0], max(ladder, key=lambda run: run["rate"])
    busy = best["busy"]["queue"]
    reached = f"{figure(least['rate'])}/s with {_several(least)}, {figure(best['rate'])}/s with {_several(best)}: queue at {busy:.0%}"
    helped = best["rate"] > _HELPED * least["rate"] and busy > _SATURATED
    return [Goal(9, f"{most} simulated cores: more processes help until the queue saturates", reached, helped)]


_HELPED, _SATURATED = 1.2, 0.85


def _several(run: Raw) -> str:
    return ", ".join(f"{run['processes'][name]} {name}" for name in _programs(run["mode"]) if name != "queue")
