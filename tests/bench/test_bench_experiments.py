"""What experiments make of their raw figures: sizes, sessions, commits."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench.experiments import commits, sessions, sizes

KIB, MIB = 1024, 1024 * 1024


def run(server, rate=None, *, size=4 * KIB, sessions=20, reuse=False, peak=80):
    figures = {"rate": rate, "cpu_ms": 1.0, "peak_bytes": peak * MIB, "problem": None if rate else "stalled"}
    return {"server": server, "size": size, "sessions": sessions, "reuse": reuse, **figures}


def idle(mib, greeted=2000):
    ends = {"before_bytes": 70 * MIB, "bytes": (70 + mib) * MIB, "seconds": 1.0, "cpu_per_second": 0.01}
    loads = {"alone": run("paperpath", 2000.0), "beside": run("paperpath", 1900.0)}
    return {"wanted": 2000, "greeted": greeted, **ends, **loads}


def test_large_messages_are_compared_with_postfix_by_size():
    """Three times as fast at 100 KiB, as fast at 10 MiB: medians of the rounds."""
    runs = [run("paperpath", rate, size=100 * KIB) for rate in (900.0, 1500.0, 1600.0)]
    runs += [run("postfix", 500.0, size=100 * KIB), run("paperpath", 19.0, size=10 * MIB)]
    runs += [run("postfix", 20.0, size=10 * MIB)]
    middle, large = sizes.goals({"runs": runs})
    assert (middle.reached, middle.ok) == ("3.00 x", True)
    assert (large.reached, large.ok) == ("0.95 x", False)


def test_memory_is_flat_if_large_messages_take_little_more_than_small_ones_did_before():
    """The first small load counts, the worst large one: memory that is not given back is seen."""
    runs = [run("paperpath", 2000.0, peak=80), run("paperpath", 9.0, size=10 * MIB, peak=90)]
    runs += [run("paperpath", 2000.0, peak=130), run("paperpath", 9.0, size=10 * MIB, peak=130)]
    (flat,) = sizes.goals({"runs": runs})
    assert (flat.reached, flat.ok) == ("+50.0 MiB", False)


def test_a_load_that_did_not_come_to_its_end_is_shown_and_reaches_nothing():
    """Neither a rate nor a goal is made of it."""
    raw = {"runs": [run("paperpath", 900.0, size=100 * KIB), run("postfix", size=100 * KIB)]}
    assert sizes.goals(raw) == []
    assert "| 100 KiB: messages/s | 900 | did not come to an end |" in sizes.table(raw)


def test_many_active_sessions_are_compared_with_few():
    """Each way of connecting by itself."""
    runs = [run("paperpath", rate, sessions=count) for count, rate in ((20, 2000.0), (500, 1500.0))]
    runs += [run("paperpath", rate, sessions=count, reuse=True) for count, rate in ((20, 2000.0), (500, 1800.0))]
    memory, each, reused = sessions.goals({"idle": idle(100), "runs": runs})
    assert [(goal.reached, goal.ok) for goal in (memory, each, reused)] == [
        ("100 MiB", True), ("75%", False), ("90%", True),
    ]  # fmt: skip


def test_idle_sessions_that_were_refused_do_not_count_as_cheap():
    """All of them must be served."""
    (memory,) = sessions.goals({"idle": idle(1, greeted=100), "runs": []})
    assert (memory.reached, memory.ok) == ("1 MiB, only 100 were served", False)


def test_commit_latency_is_told_at_the_99th_percentile():
    """Of a thousand answers the ten slowest are beyond it."""
    times = [1.0] * 985 + [9.0] * 15
    raw = {"paces": {"1000": {"ms": times, "delivered": 1000}}}
    (goal,) = commits.goals(raw)
    assert goal.reached == "9.00 ms"
    assert "| 1,000 | 1.00 ms | 1.00 ms | 9.00 ms | 9.00 ms |" in commits.table(raw)
