"""Large messages: how fast they are delivered, and whether memory stays flat (goal 4)."""

from statistics import median

from bench.contestant import WithMore
from bench.contestants import postfix
from bench.experiment import Bench, Goal
from bench.plan import in_turn
from bench.side_by_side import both, one_is_missing
from bench.table import Raw, figure, ratio, spread

TITLE = "Large messages"
SECONDS = 42

_KIB, _MIB = 1024, 1024 * 1024
_SMALL, _MIDDLE, _LARGE = 4 * _KIB, 100 * _KIB, 10 * _MIB
_MESSAGES = {_SMALL: 1000, _MIDDLE: 500, _MIB: 100, _LARGE: 30}
_ROUNDS = 3
_LIMIT = "message_size_limit = 20971520\n"  # by default Postfix refuses 10 MiB
_FLAT = 32 * _MIB  # more memory than with small messages that still counts as flat: 3 of the 20 messages under way


def missing() -> str | None:
    """Why it can't run here."""
    return one_is_missing()


def measure(bench: Bench) -> Raw:
    """Loads of each size in turn, 20 sessions, a connection each, to a Maildir; small ones first."""
    runs = []
    with both(bench, {"postfix": WithMore(postfix, "config/main.cf", lambda _: _LIMIT)}) as servers:
        for number in range(1 if bench.quick else _ROUNDS * (3 if bench.long else 1)):
            for size, messages in _MESSAGES.items():
                for name in in_turn(list(servers), number):
                    run = servers[name].load(messages // 4 if bench.quick else messages, size=size)
                    runs.append(run)
                    bench.say(f"sizes {size // _KIB:6} KiB {name:10} {run['problem'] or figure(run['rate']) + '/s'}")
    return {"runs": runs}


def table(raw: Raw) -> str:
    """A row for each size."""
    rows = ["| | Paperpath | Postfix |", "| --- | --- | --- |"]
    for size in _MESSAGES:
        ours, base = (_figures(raw, name, size, "rate") for name in ("paperpath", "postfix"))
        rows.append(f"| {_name(size)}: messages/s | {_text(ours, base)} | {_text(base, [])} |")
        ours, base = (_figures(raw, name, size, "cpu_ms") for name in ("paperpath", "postfix"))
        rows.append(f"| … CPU ms a message | {_text(ours, base)} | {_text(base, [])} |")
        peaks = (_figures(raw, name, size, "peak_bytes") for name in ("paperpath", "postfix"))
        rows.append("| … most memory (PSS) | " + " | ".join(f"{_mib(peak)}" for peak in peaks) + " |")
    return "\n".join(rows)


def goals(raw: Raw) -> list[Goal]:
    """Goal 4, as far as both came to their end."""
    found = []
    for size, asked in ((_MIDDLE, 3.0), (_LARGE, 1.0)):
        ours, base = (_figures(raw, name, size, "rate") for name in ("paperpath", "postfix"))
        if ours and base:
            times = median(ours) / median(base)
            found.append(Goal(4, f"{_name(size)}: at least {asked:.0f} x Postfix", f"{times:.2f} x", times >= asked))
    small, large = (_figures(raw, "paperpath", size, "peak_bytes") for size in (_SMALL, _LARGE))
    if small and large:
        more = max(large) - small[0]  # before any large one came
        asked_text = f"memory stays flat: {_name(_LARGE)} take less than {_FLAT // _MIB} MiB more than {_name(_SMALL)}"
        found.append(Goal(4, asked_text, f"{more / _MIB:+.1f} MiB", more < _FLAT))
    return found


def _figures(raw: Raw, name: str, size: int, key: str) -> list[float]:
    return [run[key] for run in raw["runs"] if (run["server"], run["size"], run["problem"]) == (name, size, None)]


def _name(size: int) -> str:
    return f"{size // _MIB} MiB" if size >= _MIB else f"{size // _KIB} KiB"


def _text(values: list[float], base: list[float]) -> str:
    if not values:
        return "did not come to an end"
    around = f" ±{spread(values):.0%}" if len(values) > 1 else ""
    return figure(median(values)) + around + (ratio(median(values), median(base)) if base else "")


def _mib(values: list[float]) -> str:
    return f"{max(values) / _MIB:.0f} MiB" if values else "-"
