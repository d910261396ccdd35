"""Times the hot functions by pytest-benchmark, beside their recorded figures: `make microbench`.

Each round of a case has a calibration of its own right before it, and the median of their ratios counts: on a machine that
others use, too, the clock itself changes by half within a second.  A case that looks slower is measured twice more, and
the best of the three counts.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench import figures
from bench.figures import Figures
from bench.hot_functions import Cases, calibration, cases

_RECORDED = Path(__file__).with_name("figures.json")
_ROUNDS = 700
_ROUND = 150_000  # ns of a round, about
_CALIBRATIONS = 4  # before each
_AGAIN = 2


class Measurement:
    """pytest's plugin: makes the cases into tests, and keeps their figures."""

    def __init__(self, chosen: Cases) -> None:
        self._chosen = chosen
        self.figures: Figures = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each case."""
        metafunc.parametrize("call", list(self._chosen.values()), ids=list(self._chosen))

    @pytest.fixture
    def keep(self, request: pytest.FixtureRequest) -> Callable[[float], None]:
        """What takes the figure of the test that asks."""
        name = request.node.name.partition("[")[2].removesuffix("]")
        return lambda figure: self.figures.update({name: figure})


def calibration_ns() -> float:
    """Nanoseconds of one calibration now."""
    began = time.perf_counter_ns()
    for _ in range(_CALIBRATIONS):
        calibration()
    return (time.perf_counter_ns() - began) / _CALIBRATIONS


def test_hot_function(benchmark: Any, call: Callable[[], object], keep: Callable[[float], None]) -> None:
    """One case, each round right after a calibration."""
    began = time.perf_counter_ns()
    call()
    call()
    calls = max(1, 2 * _ROUND // (time.perf_counter_ns() - began))
    beside: list[float] = []

    def many() -> None:
        for _ in range(calls):
            call()

    benchmark.pedantic(many, setup=lambda: beside.append(calibration_ns()), rounds=_ROUNDS)
    times = benchmark.stats.stats.data  # seconds of each round
    pairs = zip(times, beside[-len(times) :], strict=True)  # the first call of all is a check of its own
    keep(median(figures.normalised(seconds * 1e9 / calls, calibrated) for seconds, calibrated in pairs))


def measure(chosen: Cases) -> Figures:
    """Their figures. Raises SystemExit if one can't be called."""
    plugin = Measurement(chosen)
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--capture=no", "--tb=short"]
    status = pytest.main(
        [__file__, *options, "--benchmark-quiet", "--benchmark-disable-gc", "--benchmark-columns=median"],
        plugins=[plugin],
    )
    if status:
        raise SystemExit(int(status))
    return plugin.figures


def best(everything: Cases, recorded: Figures, *, record: bool) -> Figures:
    """All cases once, and those again that matter: all if they are to be recorded, else those that look slower."""
    measured = measure(everything)
    for _ in range(_AGAIN):
        names = set(measured) if record else set(figures.regressions(recorded, measured))
        if names:
            again = measure({name: call for name, call in everything.items() if name in names})
            measured = {name: min(value, again.get(name, value)) for name, value in measured.items()}
    return measured


def main() -> int:
    """Measure, compare; status 1 if something became slower."""
    parser = argparse.ArgumentParser(prog="make microbench", description=__doc__)
    parser.add_argument("--record", action="store_true", help=f"make what was measured the figures of {_RECORDED.name}")
    args = parser.parse_args()
    recorded = figures.read(_RECORDED.read_text()) if _RECORDED.exists() else {}
    with tempfile.TemporaryDirectory(prefix="microbench-") as folder:
        measured = best(cases(Path(folder)), recorded, record=args.record)
    print(figures.report(recorded, measured))
    print(
        f"\nns a call where the calibration loop takes {figures.CALIBRATION:,.0f} ns (here, now: {calibration_ns():,.0f})"
    )
    if args.record:
        _RECORDED.write_text(figures.write(measured))
        print(f"recorded in {_RECORDED.name}")
        return 0
    return 1 if figures.regressions(recorded, measured) else 0


if __name__ == "__main__":
    sys.exit(main())
