"""Many messages for one host: what they cost the others, and what becomes of them when it is back."""

import pytest
from queue_parts import DONE, LATER, Desk, make_state

from appliance.envelope import Envelope
from appliance.queue.leases import NEAR
from appliance.queue.pace import SIP, STRUGGLING, Pace
from appliance.queue.store import LOCAL, REMOTE

MANY = 1200


def accept_all(desk, *recipients):
    """A message for each, in one commit."""
    for recipient in recipients:
        letter = Envelope(b"bob@elsewhere.example", (recipient,))
        desk.service.accept("smtpd", letter, b"Subject: x\n\ntext\n", desk.answers.append)
    desk.run()


@pytest.fixture
def restarted(tmp_path, store, lines):  # the log goes to a file
    """A queue that starts with MANY messages for one host, then 50 for another, on disk and due."""
    state = make_state(tmp_path / "state")
    before = Desk(state, store)
    accept_all(before, *[b"a@dead.example"] * MANY, *[b"a@alive.example"] * 50)
    before.service.bodies.close()
    return Desk(state, store)


def attempts(worker, answer):
    """Answer all that is handed out until nothing more comes; how many there were for each host."""
    count = {b"dead.example": 0, b"alive.example": 0}
    while worker.taken:
        count[worker.taken[0].destination] += 1
        worker.report(answer if worker.taken[0].destination == b"dead.example" else DONE)
    return count


def test_host_that_fails_is_tried_slowly(restarted):
    """Others get their mail at once; of the one that fails, a part is tried at first, then some each second."""
    worker = restarted.worker(REMOTE, credit=5000)
    first = attempts(worker, LATER)
    assert first[b"alive.example"] == 50
    assert first[b"dead.example"] <= NEAR + STRUGGLING
    tried = 0
    restarted.advance(1.0)
    for _ in range(4):
        restarted.advance(0.5)
        tried += attempts(worker, LATER)[b"dead.example"]
    assert STRUGGLING < tried <= 3 * STRUGGLING


def test_long_backlog_is_not_looked_through(tmp_path, store, lines, monkeypatch):  # the log goes to a file
    """Where mail waits for few hosts each is asked for by name, so few looks find what others get."""
    monkeypatch.setattr("appliance.queue.sqlite.WINDOW", 50)
    desk = Desk(make_state(tmp_path / "state"), store)
    accept_all(desk, *[b"a@alive.example" if number % 100 == 99 else b"a@dead.example" for number in range(MANY)])
    desk.service.bodies.close()
    looks, due = [], store.due
    monkeypatch.setattr(store, "due", lambda *asked: looks.append(asked) or due(*asked))
    worker = Desk(desk.state, store).worker(REMOTE, credit=5000)
    assert attempts(worker, LATER)[b"alive.example"] == MANY // 100
    assert len(looks) <= 6


def test_every_message_has_its_turn(restarted):
    """Slowly, but all of them: none is tried twice before each has been tried once."""
    worker = restarted.worker(REMOTE, credit=5000)
    seen = []
    for _ in range(60):
        while worker.taken:
            dead = worker.taken[0].destination == b"dead.example"
            delivery = worker.report(LATER if dead else DONE)
            seen += [delivery.id] * dead
        restarted.advance(0.5)
    assert len(seen) == len(set(seen)) == MANY


def test_host_that_is_back_gets_its_mail_at_once(restarted):
    """The first message that gets through ends the slowness."""
    worker = restarted.worker(REMOTE, credit=5000)
    failed = attempts(worker, LATER)[b"dead.example"]
    restarted.advance(1.0)
    assert attempts(worker, DONE)[b"dead.example"] == MANY - failed


def test_local_mail_beyond_memory_is_found(tmp_path, store, monkeypatch):
    """Local mail that does not fit is delivered when there is room, however much is in memory."""
    monkeypatch.setattr("appliance.queue.leases.HELD", 50)
    desk = Desk(make_state(tmp_path / "state"), store)
    for _ in range(120):
        desk.accept([b"a@example.org"])
    worker = desk.worker(LOCAL, credit=10)
    count = 0
    while worker.taken:
        worker.report(DONE)
        count += 1
    assert count == 120
    desk.service.bodies.close()


def test_mail_that_comes_while_its_host_is_read_for_itself_is_not_forgotten(tmp_path, store, monkeypatch):
    """It is on disk only, and came there after the look."""
    monkeypatch.setattr("appliance.queue.leases.HELD", 60)
    desk = Desk(make_state(tmp_path / "state"), store)
    for _ in range(40):  # as many as a host may have in memory that is more than half full
        desk.accept([b"a@busy.example"])
    desk.service.accept("smtpd", Envelope(b"bob@elsewhere.example", (b"a@busy.example",)), b"\n", desk.answers.append)
    desk.turn()
    found, tell = desk.looking()
    desk.accept([b"a@busy.example"])
    tell(found, None)
    desk.run()
    worker = desk.worker(REMOTE, credit=100)
    count = 0
    while worker.taken:
        worker.report(DONE)
        count += 1
    assert count == 42
    desk.service.bodies.close()


def test_pace_grows_with_time():
    """What may be tried comes back at STRUGGLING a second and is never more than one second's worth."""
    pace = Pace(100.0)
    assert pace.left(100.0) == pace.left(900.0) == STRUGGLING
    pace.spend(STRUGGLING)
    assert pace.left(900.0) == 0
    assert pace.wait(900.0) == SIP / STRUGGLING
    assert pace.left(900.5) == STRUGGLING // 2
    assert pace.wait(900.5) == 0.0
    assert pace.left(0.0) == STRUGGLING // 2  # a clock that stepped back takes nothing away
