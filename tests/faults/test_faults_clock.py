"""A clock that is set: nothing expires by one that is ahead by mistake, nothing waits a day for one that was set back."""

import os
import socket
from pathlib import Path

import pytest
from fault_post import YAML, Post, wait_until

from appliance.queue.clock import BELIEVED, Clock
from appliance.queue.schedule import LIFETIME, longest, next_attempt

LIBRARY = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1")
DAY = 86400


class _Hand:
    """A clock that a test moves."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# what happens to the wall clock while 5 s pass -> by how much it was set, whether it is doubted then
SETTINGS = [
    (5.0, 0, False, "it runs"),
    (5.4, 0, False, "it is slewed"),
    (DAY, DAY - 5, True, "ahead by a day"),
    (-DAY, -DAY - 5, False, "back by a day"),
]


@pytest.mark.parametrize(("by", "told", "doubted", "what"), SETTINGS, ids=[row[-1] for row in SETTINGS])
def test_a_clock_that_was_set_is_noticed(by, told, doubted, what):
    """The clock that nobody sets runs beside it."""
    wall, steady = _Hand(1e9), _Hand(50.0)
    clock = Clock(wall, steady)
    wall.now, steady.now = wall.now + by, 55.0
    assert (clock.doubted, clock.set_by(), clock.set_by()) == (doubted, told, 0)


def test_a_clock_that_stays_ahead_is_believed_after_an_hour_and_a_corrected_one_at_once():
    """Who set it right by such a step has mail that expires an hour later; who set it wrong has lost none."""
    wall, steady = _Hand(1e9), _Hand(50.0)
    clock = Clock(wall, steady)
    wall.now += DAY
    assert clock.doubted
    steady.now, wall.now = steady.now + BELIEVED, wall.now + BELIEVED
    assert not clock.doubted
    wall.now += DAY
    assert clock.doubted
    wall.now -= DAY
    assert not clock.doubted
    assert clock.set_by() == DAY


def test_nothing_waits_longer_than_the_schedule_says():
    """The longest pause of a message's life is its last; what waits longer was put off by a wrong clock."""
    pauses = [next_attempt(0, age, channel) - age for age in range(0, LIFETIME + 1, 997) for channel in (0, 1)]
    assert max(pauses) <= longest(LIFETIME) < 9 * 3600


class _Timed(Post):
    """An appliance whose wall clock a test sets; the monotonic one runs on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, YAML + "queue: {{lifetime: 12h}}\n")
        self._file = self.state.generations / "clock"  # all programs may read there
        self._file.parent.mkdir(parents=True)
        self.set(0)
        for name, value in {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }.items():
            monkeypatch.setenv(name, value)

    def set(self, ahead: int) -> None:
        """By so many seconds from the true time."""
        self._file.write_text(f"{ahead:+d}\n")

    def noticed(self, what: str) -> None:
        """The queue has seen that the clock was set."""
        wait_until(lambda: self.said().count(what), 15, f"the clock was {what}")

    def said(self) -> str:
        """All warnings."""
        return "\n".join(str(line["what"]) for line in self.appliance.log("warning"))

    def attempts(self) -> int:
        """How often the partner could not be reached."""
        return len(self.appliance.log("deferred"))

    def wait_for_an_attempt(self, what: str) -> None:
        before = self.attempts()
        wait_until(lambda: self.attempts() > before, 15, what)


@pytest.fixture
def timed(tmp_path, monkeypatch):
    if not LIBRARY.exists():
        pytest.skip("libfaketime is not here (Debian package libfaketime)")
    post = _Timed(tmp_path, monkeypatch)
    post.appliance.start()
    yield post
    post.appliance.kill_all()


def _hang_up(post: Post) -> socket.socket:
    """Nobody answers at the partner's port from now on."""
    post.partner.close()
    closed = socket.socket()  # bound, so that nobody else gets it, and not listening
    closed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    closed.bind(("127.0.0.1", post.partner.port))
    return closed


def test_a_day_ahead_and_back_expires_nothing_and_makes_nothing_wait(timed):
    """With a lifetime of 12 hours: what a clock a day ahead tried in vain is tried again, and as soon as the clock is right."""
    with _hang_up(timed):
        mail = timed.write("abroad", "mixed")
        timed.send_all(mail)
        wait_until(lambda: timed.attempts() >= 3, 15, "all three recipients are put off")
        timed.set(DAY)
        timed.noticed("set ahead by 86")
        timed.hurry()  # within five minutes it would look by itself
        timed.wait_for_an_attempt("what is due by the wrong clock")
        timed.set(0)
        timed.wait_for_an_attempt("what waits for the day after")
    timed.set(-DAY)
    timed.partner.listen()
    timed.settle(mail, hurry=False)
    assert not timed.wrong
    assert not [line for line in timed.appliance.log("failed") if "550" not in str(line["text"])]
    assert timed.said().count("set back by 86") == 2


def test_a_queue_that_starts_after_the_clock_was_set_back_tries_what_waits(timed):
    """It can't know of the jump, but nothing may wait longer than the schedule's longest pause."""
    with _hang_up(timed):
        timed.set(DAY)
        timed.noticed("set ahead by 86")
        mail = timed.write("abroad")
        timed.send_all(mail)
        wait_until(timed.attempts, 15, "it is put off")
        timed.appliance.stop()
        timed.set(0)
    timed.partner.listen()
    timed.appliance.start()
    timed.settle(mail, hurry=False)
    assert "mail waits longer than it should" in timed.said()
