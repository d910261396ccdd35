"""The goals: what the table beside the peers says about them, and all of them as one table. Pure."""

from collections.abc import Callable, Sequence
from statistics import median

from bench.experiment import Goal
from bench.table import BASE, Raw, figure, measured, percentile_95, visible_ms

_OURS = "paperpath"
_FASTER, _CHEAPER = 5.0, 0.2  # how many times Postfix's messages/s; what part of its CPU time a message
_SCENARIOS = (
    (1, "maildir-each", "to a Maildir, a connection each"),
    (1, "maildir-reuse", "to a Maildir, connections reused"),
    (2, "relay-each", "relayed, a connection each"),
    (2, "relay-reuse", "relayed, connections reused"),
)
_IDLE_MIB, _START_SECONDS = 80, 1.0


def from_peers(raw: Raw) -> list[Goal]:
    """Goals 1, 2, 3 and 10, as far as the run measured what they need."""
    return [*_throughput(raw), *_latency(raw), *_footprint(raw)]


def _throughput(raw: Raw) -> list[Goal]:
    goals = []
    for number, scenario, way in _SCENARIOS:
        rate, cost = (_ratio(raw, scenario, key) for key in ("rate", "cpu_ms"))
        if rate is not None:
            goals.append(Goal(number, f"{way}: {_FASTER:.0f} x Postfix's messages/s", f"{rate:.2f} x", rate >= _FASTER))
        if cost is not None:
            asked = f"{way}: at most {_CHEAPER:.2f} of its CPU a message"
            goals.append(Goal(number, asked, f"{cost:.2f}", cost <= _CHEAPER))
    return goals


def _ratio(raw: Raw, scenario: str, key: str) -> float | None:
    ours, base = (measured(raw, name, scenario, key) for name in (_OURS, BASE))
    return median(ours) / median(base) if ours and base else None


def _latency(raw: Raw) -> list[Goal]:
    ours, base = (visible_ms(raw, name) for name in (_OURS, BASE))
    if not ours or not base:
        return []
    goals = []
    kinds: Sequence[tuple[str, Callable[[list[float]], float]]] = (("median", median), ("95th", percentile_95))
    for name, kind in kinds:
        asked = f"one message, idle, until visible, {name}: no worse than Postfix's {figure(kind(base))} ms"
        goals.append(Goal(3, asked, f"{figure(kind(ours))} ms", kind(ours) <= kind(base)))
    return goals


def _footprint(raw: Raw) -> list[Goal]:
    idle, start = (measured(raw, _OURS, None, key) for key in ("idle_bytes", "start_seconds"))
    if not idle or not start:
        return []
    mib, seconds = median(idle) / 2**20, median(start)
    return [
        Goal(10, f"idle memory of the whole tree (PSS) below {_IDLE_MIB} MiB", f"{mib:.1f} MiB", mib < _IDLE_MIB),
        Goal(10, f"first 220 within {_START_SECONDS:.0f} s", f"{seconds:.2f} s", seconds <= _START_SECONDS),
    ]


def render(goals: list[Goal]) -> str:
    """The table, in the order of the goals' numbers."""
    rows = [
        f"| {goal.number} | {goal.asked} | {goal.reached} | {'yes' if goal.ok else '**no**'} |"
        for goal in sorted(goals, key=lambda one: one.number)
    ]
    return "\n".join(["| goal | asked | reached | |", "| --- | --- | --- | --- |", *rows])
