"""The table: medians, spread, ratios against Postfix, as Markdown. Pure: raw results in, text out."""

from statistics import median, quantiles
from typing import Any

from bench.plan import SCENARIOS

BASE = "postfix"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

Raw = dict[str, Any]  # what run.py writes as JSON


def spread(values: list[float]) -> float:
    """Half the distance of the extremes, as a part of the median: 0.05 means ±5 %."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0


def percentile_95(values: list[float]) -> float:
    """The 95th percentile (of one value: itself)."""
    return quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]


def ratio(value: float, base: float | None) -> str:
    """` (2.4 x)`, or nothing without a base."""
    return f" ({value / base:.2f} x)" if base else ""


def figure(value: float) -> str:
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def render(raw: Raw) -> str:
    """The whole table, with a line about when and what, and the reasons of those who are missing."""
    names = [name for name, about in raw["contestants"].items() if not about["missing"]]
    heads = [f"{raw['contestants'][name]['title']} {raw['contestants'][name]['version']}" for name in names]
    rows = [["", *heads], ["---"] * (len(names) + 1)]
    for scenario in SCENARIOS:
        if scenario.name not in {run["scenario"] for run in raw["runs"]}:
            continue
        rates = [measured(raw, name, scenario.name, "rate") for name in names]
        costs = [measured(raw, name, scenario.name, "cpu_ms") for name in names]
        stalls = [_problem(raw, name, scenario.name) for name in names]
        rows.append([f"{scenario.title}: messages/s", *_medians(names, rates, stalls, with_spread=True)])
        rows.append(["… CPU ms a message", *_medians(names, costs)])
    rows.append(["one message, idle, until visible: p50 / p95 ms", *_latencies(raw, names)])
    rows.append(["memory idle (PSS)", *_memory(raw, names, "idle_bytes")])
    rows.append(["memory after a load (PSS)", *_memory(raw, names, "after_bytes")])
    rows.append(["start to first 220", *_starts(raw, names)])
    rows.append(["lost / duplicated, all runs", *(_account(raw, name) for name in names)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    missing = [
        f"* {about['title']}: not available: {about['missing']}"
        for about in raw["contestants"].values()
        if about["missing"]
    ]
    return "\n".join(
        [caption(raw), "", *lines, "", *missing, "Limits of this machine at that time:", "", *_limits(raw)]
    )


def caption(raw: Raw) -> str:
    """When, what, and on which machine."""
    machine, settings = raw["machine"], raw["settings"]
    return (
        f"{raw['when']}, commit {raw['commit']}, {machine['cores']} cores, Linux {machine['kernel']}, {machine['file_system']}, "
        f"fsync {machine['fsync_ms']:.2f} ms. {settings['messages']} messages of {settings['size']} bytes a run (slower "
        f"servers: a part of them), {raw['rounds']} rounds: medians, ± half the range, (ratio to Postfix)."
    )


_LIMITS = (
    ("syncs", "one process that appends 4 KiB and syncs, again and again: {}/s"),
    ("smtp-sink-each", "smtp-source to smtp-sink, a connection each: {}/s"),
    ("smtp-sink-reuse", "smtp-source to smtp-sink, connections reused: {}/s"),
    (
        "asyncio-each",
        "smtp-source to one process on uvloop that answers and does nothing else, a connection each: {}/s",
    ),
    ("asyncio-reuse", "the same, connections reused: {}/s"),
    ("load-each-ms", "smtp-source itself, a connection each: {} ms of CPU a message"),
    ("load-reuse-ms", "smtp-source itself, connections reused: {} ms of CPU a message"),
)


def _limits(raw: Raw) -> list[str]:
    found = {**raw["limits"], "syncs": 1e3 / raw["machine"]["fsync_ms"]}
    return [f"* {text.format(figure(found[key]))}" for key, text in _LIMITS if key in found]


def _runs(raw: Raw, name: str, scenario: str | None) -> list[Raw]:
    return [run for run in raw["runs"] if run["contestant"] == name and scenario in (None, run["scenario"])]


def measured(raw: Raw, name: str, scenario: str | None, key: str) -> list[float]:
    """A figure of each run of a contestant that came to its end, of one scenario or of all."""
    return [run[key] for run in _runs(raw, name, scenario) if run.get(key) is not None and not run["problem"]]


def _problem(raw: Raw, name: str, scenario: str) -> str:
    return next((run["problem"] for run in _runs(raw, name, scenario) if run["problem"]), "not measured")


def _base(names: list[str], series: list[list[float]]) -> float | None:
    values = dict(zip(names, series, strict=True)).get(BASE)
    return median(values) if values else None


def _medians(
    names: list[str], series: list[list[float]], otherwise: list[str] | None = None, *, with_spread: bool = False
) -> list[str]:
    base = _base(names, series)
    cells = []
    for number, (name, values) in enumerate(zip(names, series, strict=True)):
        if not values:
            cells.append(otherwise[number] if otherwise else "-")
            continue
        around = f" ±{spread(values):.0%}" if with_spread and len(values) > 1 else ""
        cells.append(figure(median(values)) + around + ratio(median(values), base if name != BASE else None))
    return cells


def visible_ms(raw: Raw, name: str) -> list[float]:
    """Milliseconds of each single message of all rounds."""
    return [ms for one in raw["latency"] if one["contestant"] == name for ms in one["visible_ms"]]


def _latencies(raw: Raw, names: list[str]) -> list[str]:
    all_ms = {name: visible_ms(raw, name) for name in names}
    base = median(all_ms[BASE]) if all_ms.get(BASE) else None
    cells = []
    for name in names:
        values = all_ms[name]
        middle = median(values) if values else 0.0
        text = f"{figure(middle)} / {figure(percentile_95(values))}" if values else "-"
        cells.append(text + (ratio(middle, base) if values and name != BASE else ""))
    return cells


def _memory(raw: Raw, names: list[str], key: str) -> list[str]:
    series = [measured(raw, name, None, key) for name in names]
    return [f"{median(values) / 2**20:.0f} MiB" if values else "-" for values in series]


def _starts(raw: Raw, names: list[str]) -> list[str]:
    series = [measured(raw, name, None, "start_seconds") for name in names]
    return [f"{median(values):.2f} s" if values else "-" for values in series]


def _account(raw: Raw, name: str) -> str:
    runs = _runs(raw, name, None)
    lost = sum(run["lost"] for run in runs if not run["problem"])
    stalled = sum(1 for run in runs if run["problem"])
    return f"{lost} / {sum(run['duplicated'] for run in runs)}" + (f" ({stalled} runs not finished)" if stalled else "")


def put_between_markers(document: str, text: str) -> str:
    """The document with everything between the two marker comments replaced. Raises ValueError without them."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{BEGIN} and {END} must stand in the document")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"
