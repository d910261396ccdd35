"""The goals' table: what the runs beside Postfix say about each goal, and how the report shows it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench import goals, plan, report
from bench.experiment import Goal
from bench.experiments import EXPERIMENTS

IDLE, START = 70 << 20, 0.4


def run(name, scenario, rate, cpu_ms):
    seen = {"idle_bytes": IDLE, "start_seconds": START, "lost": 0, "duplicated": 0, "problem": None}
    return {"contestant": name, "scenario": scenario, "rate": rate, "cpu_ms": cpu_ms, **seen}


def latency(name, values):
    return {"contestant": name, "visible_ms": values}


def raw(runs, singles=()):
    return {"runs": runs, "latency": list(singles)}


def test_five_times_postfix_and_a_fifth_of_its_cpu_are_asked_for():
    """Medians of all rounds are compared; what is exactly asked for is enough."""
    runs = [run("paperpath", "maildir-each", rate, 0.5) for rate in (2000.0, 2500.0, 9000.0)]
    runs += [run("postfix", "maildir-each", rate, 2.0) for rate in (400.0, 500.0, 600.0)]
    speed, cost, *_ = goals.from_peers(raw(runs))
    assert (speed.number, speed.reached, speed.ok) == (1, "5.00 x", True)
    assert (cost.number, cost.reached, cost.ok) == (1, "0.25", False)


def test_a_scenario_that_was_not_measured_has_no_goal():
    """Without Postfix in the run nothing is claimed about it; the footprint is Paperpath's own."""
    reached = goals.from_peers(raw([run("paperpath", "relay-each", 1.0, 1.0)]))
    assert {goal.number for goal in reached} == {10}
    assert [goal.ok for goal in reached] == [True, True]


def test_latency_is_no_worse_at_the_median_and_at_the_95th_percentile():
    """One slow message in ten is seen."""
    singles = [latency("paperpath", [3.0] * 9 + [9.0]), latency("postfix", [4.0] * 9 + [5.0])]
    middle, slowest = goals.from_peers(raw([], singles))
    assert (middle.number, middle.ok, slowest.ok) == (3, True, False)


def test_the_goals_stand_in_the_order_of_their_numbers():
    """Whoever measured them."""
    text = goals.render([Goal(5, "flat", "96 %", ok=True), Goal(4, "fast", "2 x", ok=False)])
    assert text.splitlines()[2:] == ["| 4 | fast | 2 x | **no** |", "| 5 | flat | 96 % | yes |"]


def test_an_experiment_that_could_not_be_measured_says_why(monkeypatch):
    """Its heading stands in the report with the reason, and it reaches no goal."""

    class Silent:
        TITLE = "Silence"

    monkeypatch.setitem(EXPERIMENTS, "silent", Silent)
    machine = {"cores": 2, "kernel": "6", "file_system": "ext4", "fsync_ms": 0.2}
    head = {"when": "today", "commit": "abc", "rounds": 0, "settings": {"messages": 10, "size": 4096}}
    whole = {**head, **raw([]), "machine": machine, "limits": {}, "contestants": {}}
    text = report.render({**whole, "experiments": {"silent": {"problem": "no root"}}})
    assert "### Silence\n\nNot measured: no root" in text
    assert "### Goals" not in text


def test_all_of_it_takes_ten_minutes_at_most():
    """The table's budget and what the experiments say they take."""
    assert sum(experiment.SECONDS for experiment in EXPERIMENTS.values()) <= plan.EXPERIMENTS_SECONDS
    assert plan.FULL.budget + plan.EXPERIMENTS_SECONDS <= 600
