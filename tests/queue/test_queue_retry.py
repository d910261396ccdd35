"""Everything that waits is tried now, when somebody asks for it."""

import asyncio
import json
import signal

import pytest
from queue_parts import DONE, LATER, NEVER

from appliance import intake, lease
from appliance.cli.main import main
from appliance.errors import Result
from appliance.queue import retry
from appliance.queue.store import LOCAL, REMOTE

BUSY = [lease.Report(Result.TEMPORARY, b"busy")]


def put_off(running, people):
    """Messages whose first attempt failed for now."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        client.say(*[intake.request(b"bob@x.example", [b"u%d@example.org" % n], b"A: b\n\n") for n in range(people)])
        worker.say(lease.encode_credit(people))
        for _ in range(people):
            worker.say(lease.encode_report(lease.decode_delivery(worker.hear()).id, BUSY))
        running.wait_for(lambda: len(running.events("deferred")) == people)


def attempts(running, people):
    """The numbers of the attempts that are made at once."""
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(people))
        return [lease.decode_delivery(worker.hear()).attempt for _ in range(people)]


@pytest.mark.parametrize("stopped", [False, True])
def test_retry_all(running, capsys, stopped):
    """`paperpath queue retry --all` makes all mail due, in a running queue or in one that starts later."""
    put_off(running, 30)
    if stopped:
        running.stop()
    assert main(["queue", "retry", "--all", "--state", str(running.state.root)]) == 0
    assert capsys.readouterr().out == "30 deliveries are due now\n"
    if stopped:
        running.start()
    assert attempts(running, 30) == [2] * 30


def test_it_must_be_said_that_all_is_meant(running):
    """A mistyped command tries nothing."""
    assert main(["queue", "retry", "--state", str(running.state.root)]) == 2


def test_qmail_sends_signals(running):
    """SIGALRM to the queue tries everything, SIGHUP has it look at the configuration, and neither ends it."""
    put_off(running, 3)
    running.process.send_signal(signal.SIGHUP)
    running.process.send_signal(signal.SIGALRM)
    assert attempts(running, 3) == [2, 2, 2]
    assert running.stop() == 0


def test_each_delivery_is_brought_forward_once(desk, monkeypatch):
    """What fails again meanwhile waits for its usual time, however long the queue is."""
    monkeypatch.setattr(retry, "SOME", 7)
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    for number in range(20):
        desk.accept([b"a@example.org", b"x@d%d.example" % number])
    for worker in (local, remote):
        while worker.taken:
            worker.report(LATER)

    async def ask():
        task = asyncio.ensure_future(retry.retry_all(desk.service, desk.store))
        while not task.done():
            await asyncio.sleep(0)
            desk.run()
            while local.taken:
                local.report(LATER)
            await asyncio.sleep(0.01)
        return task.result()

    assert asyncio.run(ask()) == 40
    desk.run()
    while local.taken:
        local.report(LATER)
    assert {row.attempts for item in desk.store.listing(0, 99) for row in item.deliveries if row.channel == LOCAL} == {
        2
    }


def test_trap_17_the_next_attempt_is_reckoned_from_the_start_of_this_one(desk, lines):
    """The first retry comes 100 s (local) or 400 s (remote) after birth; one that lasts longer is followed at once."""
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([b"a@example.org", b"x@one.example"])
    start = desk.now
    desk.now += 150  # both attempts take that long
    local.report(LATER)
    remote.report(LATER)
    desk.advance(1)
    assert [delivery.attempt for delivery in local.taken] == [2]
    assert remote.taken == []
    desk.advance(start + 399 - desk.now)
    assert remote.taken == []
    desk.advance(2)
    assert [delivery.attempt for delivery in remote.taken] == [2]


def test_trap_18_a_message_is_not_dropped_for_its_age(desk, lines):
    """After queuelifetime there is one more attempt: its success counts, its temporary failure is permanent."""
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org", b"b@example.org", b"c@example.org"])
    worker.report(LATER, LATER, LATER)
    desk.now += 604801
    desk.advance(1)
    worker.report(DONE, LATER, NEVER)
    failed = [entry["text"] for entry in map(json.loads, lines().splitlines()) if entry["event"] == "failed"]
    assert failed == [
        "mailbox busy\nI'm not going to try again; this message has been in the queue too long.",
        "no such user",
    ]
    assert worker.taken == []


@pytest.mark.parametrize(
    "recipients", [[], [b"@mx.example.org"]], ids=["trap_16_zero_recipients", "trap_21_empty_local_part"]
)
def test_trap_16_and_21_nobody_to_deliver_to_is_valid(desk, lines, recipients):
    """Zero recipients are a message, and `@host` is a silent trash can: it is logged and ended at once, with success."""
    desk.accept(recipients)
    assert desk.answers[0][:1] == b"K"
    (event,) = map(json.loads, lines().splitlines())
    assert event["event"] == "finished"
    assert desk.store.count() == 0
