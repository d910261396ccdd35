"""Messages without deliveries and deliveries without a message end with a bounce or a letter, and nothing of them in silence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from queue_parts import make_state
from queue_process import Running

from appliance.queue.durable import DurableStore
from appliance.queue.rescue import checkup
from appliance.queue.store import LOCAL, Change, DeliveryRow, MessageRow

PAPERPATH = Path(sys.executable).with_name("paperpath")
TOLD, UNTOLD, LOST = 1000, 2000, 3000  # ids: messages without deliveries, with a failure and with none; no message


def put_astray(store, *others):
    """What a bug would leave."""
    content = b"Received: x\nSubject: x\n\ntext\n"
    rows = [MessageRow(number, b"bob@elsewhere.example", len(content), 1, content) for number in (TOLD, UNTOLD)]
    change = Change(rows, [_delivery(LOST, number) for number in (1, 2)], last=LOST + 9)
    change.failures = [(TOLD, b"<gone@example.org>:\nno such user\n")]
    store.commit([change, *others])


def _delivery(message, number):
    recipients = b"Ta%d@example.org\0Dhas-it@example.org\0" % number
    return DeliveryRow(message + number, message, LOCAL, b"", 0.0, 1, recipients, b"")


def _mail(desk):
    """All that waits, as bytes."""
    return [desk.store.show(item.message.id)[1] for item in desk.store.listing(0, 50)]


def test_a_message_without_deliveries_ends_with_a_bounce_or_a_letter(desk):
    """Its failures are its sender's; of one without any nobody knows what became, so the postmaster gets it."""
    put_astray(desk.store)
    desk.service.count = desk.store.count()
    _, found = checkup.ended(desk.store, 0)
    ways = [desk.service.astray.end(each) for each in found]
    assert ways == ["its sender gets the bounce", "the postmaster gets it"]
    assert [desk.service.astray.end(each) for each in found] == ["", ""]  # it is being done
    desk.run()
    bounce, letter = _mail(desk)
    assert b"<gone@example.org>:\nno such user\n" in bounce
    assert b"To: postmaster@mx.example.org" in letter
    assert b"Subject: x\n\ntext" in letter
    assert desk.service.count == desk.store.count() == 2
    assert checkup.ended(desk.store, 0)[1] == []


def test_deliveries_without_a_message_end_when_they_are_due_with_one_letter(desk):
    """Who has got it is not named; a mailbox's program gets none of it."""
    worker = desk.worker(LOCAL)
    put_astray(desk.store)
    for feed in desk.service.feeds:
        feed.expect(0.0)
        feed.wake()
    desk.run()
    desk.advance(2)
    (told,) = [delivery.content for delivery in worker.taken]
    assert b"to a1@example.org\n" in told
    assert b"to a2@example.org\n" in told
    assert b"has-it" not in told
    assert desk.store.astray(0, 50) == (0, [])
    assert desk.service.astray._rows == {}


def test_a_bounce_of_nobodys_that_is_astray_is_discarded(desk, lines):
    """As the failure of a double bounce: there is nobody left to tell, and the log says so."""
    change = Change([MessageRow(TOLD, b"#@[]", 1, 1, b"x")], last=TOLD + 1)
    change.failures = [(TOLD, b"<postmaster@mx.example.org>:\nno such user\n")]
    desk.store.commit([change])
    desk.service.count = 1
    desk.service.astray.end(checkup.ended(desk.store, 0)[1][0])
    desk.run()
    assert desk.service.count == desk.store.count() == 0
    assert "discarded" in lines()


def test_they_are_found_a_page_at_a_time(store):
    """Whatever the page's size, every one once."""
    put_astray(store, Change([MessageRow(4000, b"", 1, 3, b"x")], [_delivery(4000, number) for number in (1, 2, 3)]))
    for size in (1, 2, 3, 4, 50):
        found, after, more = [], 0, True
        while more:
            after, rows = store.astray(after, size)
            found += [row.id for row in rows]
            more = after > 0
        assert found == [LOST + 1, LOST + 2]


def _command(state, *words):
    return subprocess.run(
        [PAPERPATH, "queue", *words, "--state", state.root], capture_output=True, text=True, check=False
    )


@pytest.fixture
def running(tmp_path):
    """A queue in which some of each lies, not yet due."""
    state = make_state(tmp_path / "state")
    store = DurableStore(state.database, state.journal)
    put_astray(store)
    later = [row._replace(due=1e12) for row in store.astray(0, 9)[1]]
    change = Change()
    change.updates = later
    store.commit([change])
    store.close()
    at_rest = _command(state, "check")
    made = Running(state)
    made.at_rest = at_rest
    yield made
    made.stop()


def test_check_names_them_and_recover_ends_them(running):
    """Beside the queue as without it; afterwards it is well, and what they were about waits for its readers."""
    state = running.state
    beside = _command(state, "check")
    assert running.at_rest.returncode == beside.returncode == 1
    assert running.at_rest.stdout == beside.stdout
    assert [line.count("`paperpath queue recover`") for line in beside.stdout.splitlines()] == [1, 1, 1, 1]
    told = _command(state, "recover").stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in told] == [
        "its sender gets the bounce", "the postmaster gets it", "the postmaster is told", "the postmaster is told",
    ]  # fmt: skip
    running.wait_for(lambda: _command(state, "check").stdout == "well: 3 messages, all of them whole\n")
    listed = _command(state, "list", "--json").stdout.splitlines()
    senders = [json.loads(line)["sender"] for line in listed]
    assert sorted(senders) == ["", "#@[]", "#@[]"]
