"""What the pictures show, from raw figures."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench.curves import Point, curves, latencies, ratios, scaled


def test_a_curve_is_the_median_at_each_place_with_the_extremes():
    """Runs of one server at one place are one point; those that stalled are none."""
    runs = [{"server": "paperpath", "sessions": 20, "rate": rate} for rate in (900, 1000, 1300)]
    runs += [{"server": "paperpath", "sessions": 500, "rate": 800, "problem": None}]
    runs += [{"server": "postfix", "sessions": 20, "rate": None, "problem": "stalled"}]
    raw = {"idle_bytes": 5, "rounds": [{"runs": runs}]}
    assert curves(raw, "sessions") == {"paperpath": [Point(20, 1000, 900, 1300), Point(500, 800, 800, 800)]}


def comparison():
    """A run with two servers in one scenario."""
    rates = {"paperpath": (3000, 3300), "postfix": (600, 660), "exim": ()}
    return {
        "contestants": {name: {} for name in rates},
        "runs": [
            {"contestant": name, "scenario": "maildir-each", "rate": rate, "problem": None}
            for name, both in rates.items()
            for rate in both
        ],
        "latency": [{"contestant": "postfix", "visible_ms": [4.0, 2.0]}],
    }


def test_bars_are_ratios_to_postfix():
    """Who was not measured has no bar, nor has a scenario without Postfix."""
    assert ratios(comparison()) == {"to Maildir, a connection each": {"paperpath": 5.0, "postfix": 1.0}}


def test_a_distribution_has_a_point_for_each_percent():
    """Half of two messages are visible after the quicker one's time, all after the slower one's."""
    points = latencies(comparison())["postfix"]
    assert (points[49], points[99]) == ((2.0, 50.0), (4.0, 100.0))
    assert len(points) == 100


def test_scaling_shows_the_default_and_the_best():
    """More processes than by default count where they are faster."""
    few, many = {"smtpd": 2}, {"smtpd": 4}
    runs = [{"mode": "maildir", "cores": 1, "processes": few, "rate": 1000}]
    runs += [
        {"mode": "maildir", "cores": 8, "processes": one, "rate": rate} for one, rate in ((few, 3000), (many, 7000))
    ]
    assert list(scaled({"simulated": runs}).values()) == [[(1, 1000), (8, 3000)], [(1, 1000), (8, 7000)]]
