"""What the pictures show, out of a run's raw figures: curves, bars, distributions.  Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from bench.plan import SCENARIOS
from bench.table import BASE, Raw, measured, visible_ms

_NAMES = ("contestant", "server")  # keys of a run that say whose it is


@dataclass(frozen=True)
class Point:
    """The runs at one place of a curve: their median, and the extremes."""

    x: float
    middle: float
    low: float
    high: float


Curves = dict[str, list[Point]]  # contestant -> points from left to right


def curves(raw: object, key: str) -> Curves:
    """Messages/s of each contestant against `key`, from all runs that are anywhere in an experiment's figures."""
    found: dict[str, dict[float, list[float]]] = {}
    for run in _runs(raw):
        name = next((str(run[one]) for one in _NAMES if one in run), "paperpath")
        if run.get("rate") is not None and run.get(key) is not None and not run.get("problem"):
            found.setdefault(name, {}).setdefault(float(run[key]), []).append(float(run["rate"]))
    return {
        name: [Point(x, median(rates), min(rates), max(rates)) for x, rates in sorted(by_x.items())]
        for name, by_x in found.items()
    }


def _runs(raw: object) -> Iterator[Raw]:
    if isinstance(raw, dict):
        if "rate" in raw:
            yield raw
        for value in raw.values():
            yield from _runs(value)
    elif isinstance(raw, list):
        for value in raw:
            yield from _runs(value)


def ratios(raw: Raw) -> dict[str, dict[str, float]]:
    """Scenario's title -> contestant -> messages/s as a multiple of Postfix's."""
    found: dict[str, dict[str, float]] = {}
    for scenario in SCENARIOS:
        rates = {name: measured(raw, name, scenario.name, "rate") for name in raw["contestants"]}
        if rates.get(BASE):
            base = median(rates[BASE])
            found[scenario.title] = {name: median(values) / base for name, values in rates.items() if values}
    return found


def latencies(raw: Raw) -> dict[str, list[tuple[float, float]]]:
    """Contestant -> pairs of milliseconds and the % of single messages that are visible by then, a pair for each %."""
    found = {}
    for name in raw["contestants"]:
        values = sorted(visible_ms(raw, name))
        if values:
            found[name] = [(values[max(0, len(values) * part // 100 - 1)], float(part)) for part in range(1, 101)]
    return found


def scaled(raw: Raw) -> dict[str, list[tuple[float, float]]]:
    """Simulated cores -> messages/s, with the default processes and with the best choice."""
    runs = [run for run in raw["simulated"] if run["mode"] == "maildir"]
    if not runs:
        return {}
    default = runs[0]["processes"]
    ours = [(run["cores"], run["rate"]) for run in runs if run["processes"] == default]
    best = {cores: max(run["rate"] for run in runs if run["cores"] == cores) for cores, _ in ours}
    return {"default processes": ours, "more of them": sorted(best.items())}
