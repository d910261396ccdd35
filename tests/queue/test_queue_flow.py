"""Mail that comes faster than it is delivered: who waits for whom."""

import pytest
from queue_parts import DONE, Desk, make_state

from appliance import intake, lease
from appliance.queue.flow import STILL, WAIT
from appliance.queue.memory import MemoryStore
from appliance.queue.store import LOCAL

LARGE = b"Subject: x\n\n" + b"x" * 100 * 1024


@pytest.fixture
def desk(tmp_path, lines):  # the log goes to a file
    return Desk(make_state(tmp_path / "state"), MemoryStore())


@pytest.fixture
def busy(desk):
    """A queue with 60 large messages for mailboxes, of which the first was delivered just now; its worker."""
    worker = desk.worker(LOCAL, credit=1000)
    for _ in range(60):
        desk.accept([b"alice@example.org"], content=LARGE)
    worker.report(DONE)
    return worker


def test_new_mail_waits_until_local_has_caught_up(desk, busy):
    """Who brings mail while much is under way to mailboxes is read on when most of it is delivered."""
    read_on = []
    assert desk.service.flow.behind
    desk.service.flow.wait(lambda: read_on.append(len(busy.taken)))
    while busy.taken:
        busy.report(DONE)
    assert len(read_on) == 1
    assert 30 < read_on[0] < 59


def test_new_mail_waits_a_moment_at_most(desk, busy):
    """Mail is taken all the same, only a little later."""
    read_on = []
    desk.service.flow.wait(lambda: read_on.append(desk.now))
    came = desk.now
    desk.advance(1.0)
    assert read_on == [pytest.approx(came + WAIT)]


def test_nobody_waits_for_a_local_that_does_nothing(desk, busy):
    """While mailboxes take nothing at all, for their disk hangs or local is gone, mail is queued at full speed."""
    desk.advance(STILL)
    assert not desk.service.flow.behind


def test_small_mail_does_not_wait(desk):
    """A hundred messages of the usual size under way are nothing to wait for."""
    worker = desk.worker(LOCAL, credit=1000)
    for _ in range(100):
        desk.accept([b"alice@example.org"], content=b"x" * 4096)
    worker.report(DONE)
    assert not desk.service.flow.behind


def test_worker_that_does_not_read_gets_no_more(running):
    """What one worker leaves unread goes to the other, instead of filling the queue's memory."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as silent:
        silent.say(lease.encode_credit(1000))
        request = intake.request(b"bob@elsewhere.example", [b"alice@example.org"], LARGE)
        for _ in range(100):
            client.say(request)
            client.hear()
        with running.caller("lease", "local") as other:
            other.say(lease.encode_credit(1000))
            seen = {lease.decode_delivery(other.hear()).message for _ in range(40)}
            silent.close()  # and the rest once the first is gone
            seen |= {lease.decode_delivery(other.hear()).message for _ in range(60)}
            assert len(seen) == 100


def test_worker_that_reads_on_gets_more(running):
    """A worker that was busy for a while gets all there is, in whole frames."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1000))
        request = intake.request(b"bob@elsewhere.example", [b"alice@example.org"], LARGE)
        for _ in range(100):
            client.say(request)
            client.hear()
        contents = [lease.decode_delivery(worker.hear()).content for _ in range(100)]
        assert all(content.endswith(LARGE) for content in contents)
