"""Recorded figures of the hot functions, and how far a run is from them.  Pure.

A figure is the nanoseconds of one call on a machine whose calibration loop takes CALIBRATION ns: each case is measured
beside a calibration of its own, so a slower machine, or a busier minute, divides out.
"""

import json

CALIBRATION = 20_000.0
SLOWER = 1.3  # times the recorded figure: marked
FASTER = 1 / SLOWER

Figures = dict[str, float]  # name -> ns


def normalised(median_ns: float, calibration_ns: float) -> float:
    """A measured time as a figure."""
    return median_ns * CALIBRATION / calibration_ns


def read(text: str) -> Figures:
    """The file's figures."""
    return {str(name): float(value) for name, value in json.loads(text).items()}


def write(figures: Figures) -> str:
    """The file, a line for each, three digits that matter."""
    return json.dumps({name: float(f"{value:.3g}") for name, value in figures.items()}, indent=1) + "\n"


def regressions(recorded: Figures, measured: Figures) -> list[str]:
    """Names of those that became SLOWER."""
    return [name for name, value in measured.items() if name in recorded and value > SLOWER * recorded[name]]


def report(recorded: Figures, measured: Figures) -> str:
    """A line for each case: now, recorded, ratio, and a mark."""
    width = max(map(len, [*measured, *recorded]), default=0)
    lines = [f"{'':{width}} {'now ns':>10} {'recorded':>10} {'ratio':>7}"]
    for name, value in measured.items():
        before = recorded.get(name)
        if before is None:
            lines.append(f"{name:{width}} {value:10,.0f} {'new':>10}")
            continue
        ratio = value / before
        mark = "  SLOWER" if ratio > SLOWER else "  faster" if ratio < FASTER else ""
        lines.append(f"{name:{width}} {value:10,.0f} {before:10,.0f} {ratio:7.2f}{mark}")
    lines += [f"{name:{width}} {'gone':>10}" for name in recorded if name not in measured]
    return "\n".join(lines)
