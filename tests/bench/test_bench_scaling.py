"""The model of what saturates first."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench.scaling_model import CORES, enough, first, limits

COSTS = {"smtpd": 200e-6, "queue": 100e-6, "local": 300e-6}


@pytest.mark.parametrize(
    ("cores", "processes", "what", "rate"),
    [
        (1, {"smtpd": 2, "local": 1}, CORES, 1 / 600e-6),  # one core does all of it, one after the other
        (
            3,
            {"smtpd": 2, "local": 1},
            "local",
            1 / 300e-6,
        ),  # three programs would like more than two cores, one has enough
        (8, {"smtpd": 3, "local": 9}, "queue", 1 / 100e-6),
        (8, {"smtpd": 1, "local": 9}, "smtpd", 1 / 200e-6),
    ],
)
def test_the_smallest_limit_sets_the_pace(cores, processes, what, rate):
    """Each program can do as much as its processes, all together as much as the cores."""
    assert first(limits(COSTS, processes, cores)) == (what, pytest.approx(rate))


def test_enough_processes_leave_the_limit_to_the_queue_or_to_the_cores():
    """Enough is what the queue, or the cores, can keep busy, and a quarter more."""
    assert enough(COSTS, 1) == {"smtpd": 1, "local": 1}
    assert enough(COSTS, 8) == {"smtpd": 3, "local": 4}
    for cores in (1, 2, 4, 8, 100):
        assert first(limits(COSTS, enough(COSTS, cores), cores))[0] in {CORES, "queue"}
