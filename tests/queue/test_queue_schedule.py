"""The retry schedule of qmail, and the age at which it ends."""

import pytest

from appliance.queue.schedule import expired, next_attempt, timestamp
from appliance.queue.store import LOCAL, REMOTE

BORN = 1_800_000_000.5


@pytest.mark.parametrize(("channel", "ages"), [(LOCAL, [0, 100, 400, 900, 1600]), (REMOTE, [0, 400, 1600, 3600, 6400])])
def test_attempts_on_time(channel, ages):
    """Attempts made on time come at the squares of 10 (local) or 20 (remote) times their number."""
    assert [next_attempt(BORN, BORN + age, channel) - BORN for age in ages[:-1]] == ages[1:]


@pytest.mark.parametrize(("channel", "attempts"), [(LOCAL, 78), (REMOTE, 39)])
def test_attempts_in_a_week(channel, attempts):
    """A week holds as many attempts as qmail makes, the last one being after it."""
    when, count = BORN, 0
    while not expired(BORN, when, 604800):
        when, count = next_attempt(BORN, when, channel), count + 1
    assert count == attempts


def test_clock_before_birth():
    """If the clock was ahead and stepped back, age counts as zero and the next attempt comes soon, not after the lost time."""
    assert next_attempt(BORN, BORN - 5000, LOCAL) == BORN - 5000 + 100


def test_dates():
    """Dates in the log are RFC 3339, in whole seconds."""
    assert timestamp(1_795_132_800.9) == "2026-11-20T00:00:00Z"
