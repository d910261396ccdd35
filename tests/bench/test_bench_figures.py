"""The figures of the hot functions: what is normalised, what counts as slower, and that every case still runs."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from appliance import log
from bench import figures
from bench.hot_functions import cases


def test_a_slower_machine_divides_out():
    """Twice the time beside a calibration that takes twice as long is the same figure."""
    assert figures.normalised(500.0, 20_000.0) == figures.normalised(1000.0, 40_000.0) == 500.0


def test_what_takes_a_third_longer_is_a_regression():
    """A ratio above 1.3 is marked, one below is not, and neither is a case without a recorded figure."""
    recorded = {"a": 100.0, "b": 100.0, "c": 100.0}
    measured = {"a": 131.0, "b": 129.0, "c": 70.0, "d": 1e9}
    assert figures.regressions(recorded, measured) == ["a"]
    lines = figures.report(recorded, measured).splitlines()
    assert lines[1].split() == ["a", "131", "100", "1.31", "SLOWER"]
    assert lines[2].split() == ["b", "129", "100", "1.29"]
    assert lines[3].split() == ["c", "70", "100", "0.70", "faster"]
    assert lines[4].split() == ["d", "1,000,000,000", "new"]


def test_a_case_that_is_no_longer_measured_is_shown():
    """Nobody loses a figure without seeing it."""
    assert figures.report({"old": 1.0}, {}).splitlines()[-1].split() == ["old", "gone"]


def test_recorded_figures_are_read_back():
    """Three digits of each survive the file."""
    assert figures.read(figures.write({"a": 1234.0, "b": 0.12345})) == {"a": 1230.0, "b": 0.123}


def test_every_hot_function_still_runs_and_has_a_figure(tmp_path, monkeypatch):
    """A function that changes its shape takes its benchmark along."""
    monkeypatch.setattr(log, "_writer", log._Writer())
    everything = cases(tmp_path)
    for call in everything.values():
        call()
    recorded = figures.read((Path(__file__).parents[2] / "bench" / "figures.json").read_text())
    assert recorded.keys() == everything.keys()
