"""A message's life from acceptance to its end, on both stores, with a clock that is a number."""

import json

import pytest
from queue_parts import DONE, LATER, NEVER, Desk, make_state

from appliance import message_id
from appliance.queue.memory import MemoryStore
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import LOCAL, REMOTE


def events(lines, name):
    return [entry for entry in map(json.loads, lines().splitlines()) if entry["event"] == name]


def test_accepted_and_delivered(desk, lines):
    """A message is answered with its id, goes out once with a Received line, and ends when it is delivered."""
    worker = desk.worker(LOCAL)
    desk.accept([b"alice@example.org"])
    name = desk.answers[0][1:].decode()
    delivery = worker.report(DONE)
    assert delivery.recipients == (b"example.org-alice@example.org",)
    assert delivery.content == (
        b"Received: (paperpath %b invoked from network); 15 Jan 2027 08:00:00 -0000\nSubject: x\n\ntext\n"
        % name.encode()
    )
    assert delivery.attempt == 1
    assert desk.store.count() == desk.service.count == 0
    assert [entry["message"] for entry in events(lines, "finished")] == [name]


def test_recipients_are_sorted_by_way(desk):
    """Local recipients go together, remote ones by domain whatever its case, at most 100 each."""
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    many = [b"u%d@example.org" % n for n in range(130)]
    desk.accept([*many, b"a@One.example", b"b@two.example", b"c@one.EXAMPLE"])
    assert [len(d.recipients) for d in local.taken] == [100, 30]
    assert [(d.destination, d.recipients) for d in remote.taken] == [
        (b"one.example", (b"a@One.example", b"c@one.EXAMPLE")),
        (b"two.example", (b"b@two.example",)),
    ]


@pytest.mark.parametrize("recipients", [[], [b"@mx.example.org"]])
def test_nobody_to_deliver_to(desk, lines, recipients):
    """No recipient at all is valid, and one without a local part is a trash can: both end at once."""
    desk.accept(recipients)
    assert desk.answers[0][:1] == b"K"
    assert desk.store.count() == 0
    assert len(events(lines, "finished")) == 1


def test_deferred_recipients_are_tried_alone(desk, lines):
    """Only those who have not got it are tried again, at the time of the schedule."""
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org", b"b@example.org"])
    worker.report(DONE, LATER)
    desk.advance(99)
    assert worker.taken == []
    desk.advance(2)
    delivery = worker.report(DONE)
    assert (delivery.recipients, delivery.attempt) == ((b"example.org-b@example.org",), 2)
    assert events(lines, "deferred")[0]["text"] == "mailbox busy"
    assert desk.store.count() == 0


def test_missing_results_are_temporary(desk):
    """A worker that says nothing about a recipient has not delivered to it."""
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org", b"b@example.org"])
    worker.report(DONE)
    desk.advance(200)
    assert worker.taken[0].recipients == (b"example.org-b@example.org",)


def test_one_bounce_at_the_end(desk, lines):
    """All failures of a message are told in one bounce, when its last recipient is settled."""
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org", b"b@example.org"])
    worker.report(NEVER, LATER)
    assert worker.taken == []
    desk.advance(200)
    worker.report(NEVER)
    (bounce,) = list(events(lines, "bounced"))
    assert bounce["to"] == "bob@elsewhere.example"
    found = desk.store.show(message_id.parse(bounce["bounce"]))
    assert found[0].message.sender == b""
    content = found[1]
    assert b"invoked for bounce)" in content.splitlines()[0]
    assert content.count(b"<a@example.org>:\nno such user\n") == 1
    assert content.count(b"<b@example.org>:\nno such user\n") == 1
    assert b"Subject: x\n\ntext\n\n--" in content
    assert desk.store.count() == 1


def test_a_week_and_one_bounce(desk, lines):
    """A mailbox that is busy for a week: one notice after four hours, one more attempt after queuelifetime, then one bounce."""
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org"])
    attempts = 0
    for _ in range(9 * 24 * 60):
        while worker.taken:
            worker.report(LATER)
            attempts += 1
        desk.advance(60)
    assert attempts == 79
    assert len(events(lines, "bounced")) == len(events(lines, "notified")) == 1
    assert "been in the queue too long" in events(lines, "failed")[0]["text"]
    assert desk.store.count() == 2  # the notice and the bounce, for the remote channel


def test_double_and_triple_bounce(desk, lines):
    """A failed bounce goes to the postmaster as a double bounce; when that fails it is logged and discarded."""
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([b"a@example.org"])
    local.report(NEVER)
    assert remote.report(NEVER).sender == b""
    double = local.report(NEVER)
    assert double.sender == b"#@[]"
    assert double.recipients == (b"postmaster@mx.example.org",)
    assert b"I had a bounce message to send" in double.content
    assert desk.store.count() == 0
    assert len(events(lines, "discarded")) == 1


def test_leases_return_when_a_worker_dies(desk):
    """What a dead worker had in hand goes to the next one, as the same attempt."""
    first = desk.worker(LOCAL)
    desk.accept([b"a@example.org"])
    desk.accept([b"b@example.org"])
    first.leave()
    second = desk.worker(LOCAL)
    assert [d.recipients[0] for d in second.taken] == [
        b"example.org-a@example.org",
        b"example.org-b@example.org",
    ]
    assert second.taken[0].attempt == 1


def test_delivery_that_kills_workers_waits(desk, lines):
    """A delivery in whose presence worker after worker dies is deferred like any temporary failure."""
    desk.accept([b"a@example.org"])
    for _ in range(3):
        worker = desk.worker(LOCAL)
        assert len(worker.taken) == 1
        worker.leave()
    assert desk.worker(LOCAL).taken == []
    assert len(events(lines, "deferred")) == 1


def test_credit_is_not_exceeded(desk):
    """A worker gets no more than it asked for."""
    worker = desk.worker(LOCAL, credit=2)
    for _ in range(3):
        desk.accept([b"a@example.org"])
    assert len(worker.taken) == 2
    worker.report(DONE)
    assert len(worker.taken) == 2


def test_hanging_host_does_not_hold_everything(desk):
    """A destination that has taken nothing yet has few leases; the others get through."""
    worker = desk.worker(REMOTE, credit=200)
    for _ in range(450):
        desk.accept([b"a@hangs.example"])
    desk.accept([b"a@works.example"])
    destinations = [d.destination for d in worker.taken]
    assert destinations.count(b"hangs.example") == 2
    assert destinations.count(b"works.example") == 1
    while worker.taken:
        worker.report(DONE)
    assert desk.store.count() == 0


def test_leases_of_a_destination_grow_with_success(desk):
    """Each success allows one lease more, up to half of what the workers take; a failure begins anew."""
    worker = desk.worker(REMOTE, credit=200)
    for _ in range(450):
        desk.accept([b"a@works.example"])
    most = 0
    for _ in range(250):
        worker.report(DONE)
        most = max(most, len(worker.taken))
    assert most == 100
    while len(worker.taken) > 1:
        worker.report(LATER)
    worker.report(LATER)
    assert len(worker.taken) <= 2


def test_many_hosts_that_hang_leave_leases_for_others(desk):
    """Fifty hosts that hang with much mail each, and the fifty-first gets its own."""
    worker = desk.worker(REMOTE, credit=200)
    for _ in range(20):
        for number in range(50):
            desk.accept([b"a@hangs%d.example" % number])
    desk.accept([b"a@works.example"])
    assert worker.taken[-1].destination == b"works.example"


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_restart_keeps_everything(tmp_path, lines, kind):  # the log goes to a file
    """A queue that starts again delivers what it had, keeps what was done, and gives out new ids."""
    store = SqliteStore(tmp_path / "q") if kind == "sqlite" else MemoryStore()
    state = make_state(tmp_path / "state")
    desk = Desk(state, store)
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org", b"b@example.org"])
    worker.report(DONE, LATER)
    desk.accept([b"c@example.org"])
    last = desk.service._ids.last
    if kind == "sqlite":
        store.close()
        store = SqliteStore(tmp_path / "q")
    desk.service.bodies.close()
    again = Desk(state, store)
    again.now -= 3600  # and the clock stepped back
    worker = again.worker(LOCAL)
    assert [d.recipients for d in worker.taken] == [(b"example.org-c@example.org",)]
    again.accept([b"d@example.org"])
    assert message_id.parse(again.answers[0][1:].decode()) > last
    again.advance(3600 + 101)
    assert (b"example.org-b@example.org",) in [d.recipients for d in worker.taken]
    again.stop()


def test_backlog_larger_than_memory(desk, monkeypatch):
    """What does not fit into memory stays on disk and is delivered all the same, each once."""
    monkeypatch.setattr("appliance.queue.leases.HELD", 50)
    for _ in range(700):
        desk.accept([b"a@example.org"])
    assert len(desk.service.channels[LOCAL].held) == 50
    worker = desk.worker(LOCAL, credit=10)
    seen = []
    while worker.taken:
        seen.append(worker.report(DONE).id)
    assert len(seen) == len(set(seen)) == 700
    assert desk.store.count() == 0


def change(state, **control):
    """Another generation, with some control files changed."""
    (state.generations / "second").mkdir()
    (state.generations / "first" / "control").rename(state.generations / "second" / "control")
    for name, text in control.items():
        (state.generations / "second" / "control" / name).write_text(text + "\n")
    state.generation.unlink()
    state.generation.symlink_to("second")


@pytest.mark.parametrize(
    ("name", "channel", "recipient"),
    [("concurrencylocal", LOCAL, b"a@example.org"), ("concurrencyremote", REMOTE, b"x@far.example")],
)
def test_concurrency_zero_holds(tmp_path, store, lines, name, channel, recipient):  # the log goes to a file
    """A concurrency of 0 holds the channel's mail until another generation says otherwise."""
    state = make_state(tmp_path / "state", **{name: "0"})
    desk = Desk(state, store)
    worker = desk.worker(channel)
    desk.accept([recipient])
    desk.advance(60)
    assert worker.taken == []
    change(state, **{name: "10"})
    desk.advance(60)
    assert len(worker.taken) == 1
    desk.service.bodies.close()


def test_what_is_queued_stays_local_or_remote(desk):
    """The control files locals and virtualdomains decide when a message comes; a change counts for those that come later."""
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([b"a@example.org"])
    local.report(LATER)
    change(desk.state, virtualdomains="other.example:other.example")
    desk.service.refresh()
    desk.accept([b"b@example.org", b"c@other.example"])
    desk.advance(101)
    assert [d.recipients for d in local.taken] == [(b"other.example-c@other.example",), (b"example.org-a@example.org",)]
    assert [d.recipients for d in remote.taken] == [(b"b@example.org",)]


def test_hanging_host_does_not_fill_memory(desk, monkeypatch):
    """Behind a destination with more mail than memory holds, mail for others is still found on disk."""
    monkeypatch.setattr("appliance.queue.leases.HELD", 100)
    for name, size in (("PAGE", 20), ("NEAR", 20), ("DRAIN", 60)):
        monkeypatch.setattr(f"appliance.queue.feed.{name}", size)
    desk.service.channels[REMOTE]._near = 20
    for number in range(300):
        desk.accept([b"a@hangs.example"])
        desk.accept([b"a@w%d.example" % (number % 50)])
    worker = desk.worker(REMOTE, credit=80)
    seen = []
    while any(d.destination != b"hangs.example" for d in worker.taken):
        worker.taken.sort(key=lambda d: d.destination == b"hangs.example")
        seen.append(worker.report(DONE).destination)
    assert len(seen) == 300
    while worker.taken:
        seen.append(worker.report(DONE).destination)
    assert seen.count(b"hangs.example") == 300
    assert desk.store.count() == 0
