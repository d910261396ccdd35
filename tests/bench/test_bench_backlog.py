"""What the backlog experiment makes of its raw figures."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench.experiments import backlog

MIB = 1024 * 1024
CASES = ("nothing waits", "due later", "all due, host refuses", "all due, host is silent")


def figures(slow=None, *, rate=1900.0, mib=90, first=0.1):
    """Raw figures of one round: 2000/s without a backlog, `rate` in the slow case."""
    runs, starts = [], []
    for case in CASES:
        waiting = 0 if case == CASES[0] else 1000
        starts.append({"case": case, "waiting": waiting, "ready": 0.8, "bytes": (mib if waiting else 80) * MIB})
        for when in ("at start", "later", "list"):
            for way in ("maildir", "relay"):
                per_second = rate if (case, way) == (slow, "relay") else 2000.0
                about = {"case": case, "waiting": waiting, "when": when, "way": way}
                runs.append({**about, "rate": per_second, "cpu_ms": 0.5, "problem": None})
    listed = {"lines": 1000, "first_seconds": first, "seconds": 2.0, "command_bytes": 50 * MIB, "queue_grew_bytes": 0}
    return {"waiting": 1000, "runs": runs, "starts": starts, "list": {"alone": listed, "beside": listed}}


def test_each_case_is_compared_with_none_at_the_same_moment():
    """The slower of the two ways decides."""
    found = backlog.goals(figures("all due, host refuses", rate=1700.0))
    assert [goal.ok for goal in found] == [True, False, True, False, True, True, True, True]
    assert found[1].reached == "maildir 100%, relay 85%"


def test_memory_counts_against_a_queue_without_backlog():
    """The largest of the cases, less what Paperpath takes anyway."""
    memory = [goal for goal in backlog.goals(figures(mib=190)) if "memory" in goal.asked]
    assert [(goal.reached, goal.ok) for goal in memory] == [("110 MiB", False)]


def test_a_list_streams_if_its_first_line_is_soon():
    """All of it at the end is no stream."""
    assert not backlog.goals(figures(first=5.0))[-1].ok


def test_a_load_that_did_not_come_to_its_end_counts_as_nothing():
    """Neither goal nor table takes its rate."""
    raw = figures()
    for run in raw["runs"]:
        if run["case"] == CASES[1]:
            run["problem"] = "stalled"
    assert backlog.goals(raw)[0].reached == "maildir 0%, relay 0%"


def test_table_has_two_moments_of_each_case():
    """At once after the start, and then; memory stands where it was taken."""
    text = backlog.table(figures())
    assert "| 1,000 all due, host refuses, at once | 2,000 | 2,000 | 0.50, 0.50 | 0.80 s |  |" in text
    assert "| nothing waits, then | 2,000 | 2,000 | 0.50, 0.50 |  | 80 MiB |" in text
