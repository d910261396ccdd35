"""Pictures of a run's raw figures: `python -m bench.pictures build/bench/….json`.

What a run did not measure has no picture; an older one stays.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from bench import curves
from bench.table import BASE, Raw

_FOLDER = Path("docs/performance")
# colour, line, marker: they differ in print, too
_STYLE = {
    "paperpath": ("#d1495b", "-", "o"),
    "postfix": ("#2b5f9e", "--", "s"),
    "exim": ("#8a8a8a", ":", "^"),
    "opensmtpd": ("#5b8e3e", "-.", "v"),
    "chasquid": ("#b58900", (0, (3, 1, 1, 1)), "D"),
}
_TITLES = {
    "paperpath": "Paperpath",
    "postfix": "Postfix",
    "exim": "Exim",
    "opensmtpd": "OpenSMTPD",
    "chasquid": "chasquid",
}

mpl.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text: small, and to be searched
        "svg.hashsalt": "paperpath",  # the same figures give the same bytes
        "font.family": "DejaVu Sans",  # matplotlib brings it; where it is missing, the viewer takes its sans-serif
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e3e3e3",
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "figure.facecolor": "white",
    }
)


def draw(raw: Raw, folder: Path) -> list[Path]:
    """All pictures that this run has figures for."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, picture in _PICTURES.items():
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.add_subplot()
        if picture(axes, raw):
            about = f"{raw['when']}, commit {raw['commit']}, {raw['machine']['cores']} cores"
            figure.supxlabel(about, x=0.99, ha="right", fontsize=7, color="#777777")
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None})
            drawn.append(path)
    return drawn


def _experiment(raw: Raw, name: str) -> Raw:
    found: Raw = raw.get("experiments", {}).get(name, {}).get("raw") or {}
    return found


def _throughput(axes: Axes, found: curves.Curves) -> None:
    for name, points in found.items():
        colour, line, marker = _STYLE[name]
        x, y = [point.x for point in points], [point.middle for point in points]
        around = [[p.middle - p.low for p in points], [p.high - p.middle for p in points]]
        axes.errorbar(
            x, y, around, color=colour, linestyle=line, marker=marker, label=_TITLES[name], capsize=3, elinewidth=1
        )
    axes.set_ylabel("messages/s until all are delivered")
    axes.set_ylim(0, 1.1 * max(point.high for points in found.values() for point in points))
    _finish(axes)


def _finish(axes: Axes) -> None:
    """The legend above the curves, where it hides none; thousands apart."""
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _marks(axes: Axes, found: curves.Curves) -> None:
    """The measured places as the only marks of the horizontal axis."""
    places = sorted({point.x for points in found.values() for point in points})
    axes.set_xticks(places, [f"{place:,.10g}" for place in places])
    axes.minorticks_off()


def _sessions(axes: Axes, raw: Raw) -> bool:
    found = curves.curves(_experiment(raw, "sessions"), "sessions")
    if found:
        _throughput(axes, found)
        axes.set_xscale("log")
        _marks(axes, found)
        axes.set(xlabel="SMTP sessions at a time", title="Throughput against sessions")
    return bool(found)


def _backlog(axes: Axes, raw: Raw) -> bool:
    found = curves.curves(_experiment(raw, "backlog"), "backlog")
    if found:
        _throughput(axes, found)
        axes.set_xscale("symlog", linthresh=1000, linscale=0.5)
        axes.set_xlim(-200, 1.5 * max(point.x for points in found.values() for point in points))
        _marks(axes, found)
        axes.set(xlabel="messages that wait for a dead host", title="Throughput beside a backlog")
    return bool(found)


def _slow_disk(axes: Axes, raw: Raw) -> bool:
    found = curves.curves(_experiment(raw, "slow_disk"), "delay_ms")
    if found:
        _throughput(axes, found)
        _marks(axes, found)
        axes.set(xlabel="an fsync takes at least, ms", title="Throughput against the delay of an fsync")
    return bool(found)


def _ratios(axes: Axes, raw: Raw) -> bool:
    found = curves.ratios(raw)
    names = [name for name in raw["contestants"] if name != BASE and any(name in rates for rates in found.values())]
    if not names:
        return False
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        here = [(place, rates[name]) for place, rates in enumerate(found.values()) if name in rates]
        x = [place + (number - (len(names) - 1) / 2) * width for place, _ in here]
        bars = axes.bar(x, [ratio for _, ratio in here], width * 0.92, color=_STYLE[name][0], label=_TITLES[name])
        axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=1)
    axes.axhline(1, color=_STYLE[BASE][0], linestyle="--", linewidth=1.5, label="Postfix")
    axes.axhline(5, color="#444444", linestyle=":", linewidth=1, label="the goal")
    axes.set_xticks(range(len(found)), [title.replace(", ", ",\n") for title in found])
    axes.grid(visible=False, axis="x")
    axes.set(ylabel="messages/s, times Postfix's", title="Throughput beside Postfix")
    axes.legend(frameon=False, ncols=len(names) + 2, fontsize=8, loc="upper left")
    axes.margins(y=0.18)
    return True


def _latency(axes: Axes, raw: Raw) -> bool:
    found = curves.latencies(raw)
    if not found:
        return False
    for name, points in found.items():
        colour, line, _ = _STYLE[name]
        axes.plot(
            [ms for ms, _ in points], [part for _, part in points], color=colour, linestyle=line, label=_TITLES[name]
        )
    axes.set_xscale("log")
    axes.set_xticks([2, 3, 5, 10, 20, 50], ["2", "3", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set(
        xlabel="ms from connect until the message is in new/",
        ylabel="% of single messages",
        title="Latency of one message on an idle server",
        ylim=(0, 101),
    )
    axes.legend(frameon=False, loc="lower right")
    return True


def _scaling(axes: Axes, raw: Raw) -> bool:
    measured = _experiment(raw, "scaling")
    found = curves.scaled(measured) if measured else {}
    if not found:
        return False
    for (label, points), (line, marker) in zip(found.items(), (("--", "s"), ("-", "o")), strict=True):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=_STYLE["paperpath"][0], linestyle=line, marker=marker, label=label)
    axes.set_xticks([1, 2, 4, 8])
    axes.set_ylim(bottom=0)
    axes.set(xlabel="cores (simulated)", ylabel="messages/s to a Maildir", title="Throughput against cores")
    _finish(axes)
    return True


_PICTURES: dict[str, Callable[[Axes, Raw], bool]] = {
    "throughput": _ratios,
    "latency": _latency,
    "sessions": _sessions,
    "backlog": _backlog,
    "slow-disk": _slow_disk,
    "scaling": _scaling,
}


def main() -> int:
    """Draw an earlier run, or several: a later one's pictures replace an earlier one's."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="JSON")
    parser.add_argument("--folder", type=Path, default=_FOLDER)
    args = parser.parse_args()
    for run in args.runs:
        for path in draw(json.loads(run.read_text()), args.folder):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
