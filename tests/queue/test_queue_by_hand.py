"""Messages held, released, retried and dropped by hand: while the queue runs, while it does not, while workers have them."""

import json
import os

import pytest

from appliance import intake, lease, netstring
from appliance.cli.main import main
from appliance.errors import Result

LATER = lease.Report(Result.TEMPORARY, b"451 not now")


def send(running, *recipients, size=10):
    """Queue a message; its id."""
    with running.caller("intake", "smtpd") as client:
        text = b"Subject: x\n\n" + b"y" * size + b"\n"
        client.say(intake.request(b"bob@elsewhere.example", list(recipients), text))
        return client.hear()[1:].decode()


def do(running, verb, *names):
    """Run `paperpath queue VERB`; its exit status."""
    return main(["queue", verb, *names, "--state", str(running.state.root)])


def waiting(running, capsys):
    """What `queue list --json` tells of recipients: address to time of the next attempt."""
    capsys.readouterr()
    main(["queue", "list", "--json", "--state", str(running.state.root)])
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {entry["address"]: entry["next"] for item in items for entry in item["recipients"]}


@pytest.mark.parametrize("stopped", [False, True])
def test_a_held_message_is_not_tried_until_it_is_released(running, capsys, stopped):
    """Not by a worker that asks, not by `retry`, not after a restart; others go on."""
    name, other = send(running, b"a@example.org"), send(running, b"b@example.org")
    if stopped:
        running.stop()
    assert do(running, "hold", name) == 0
    assert do(running, "retry", name) == 0
    assert do(running, "retry", "--all") == 0
    assert waiting(running, capsys)["a@example.org"] == "held"
    if not stopped:
        running.stop()
    running.start()
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(10))
        assert lease.decode_delivery(worker.hear()).recipients == (b"example.org-b@example.org",)
        assert do(running, "drop", other) == 0
        assert do(running, "release", name) == 0
        delivery = lease.decode_delivery(worker.hear())
        assert delivery.recipients == (b"example.org-a@example.org",)
        worker.say(lease.encode_report(delivery.id, [lease.Report(Result.DONE)]))
        running.wait_for(lambda: running.events("finished"))
    assert [event["what"] for event in running.events("changed")][-1] == "due now"


def test_a_delivery_under_way_ends_and_then_it_is_held(running, capsys):
    """What a worker has goes on; what it puts off waits for the release."""
    name = send(running, b"a@example.org", b"b@elsewhere.example")
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1))
        delivery = lease.decode_delivery(worker.hear())
        assert do(running, "hold", name) == 0
        worker.say(lease.encode_report(delivery.id, [LATER]))
        running.wait_for(lambda: running.events("deferred"))
    assert set(waiting(running, capsys).values()) == {"held"}


def test_what_a_worker_had_when_it_died_is_held_too(running, capsys):
    """Its lease returns, and is not given to the next worker."""
    name = send(running, b"a@example.org")
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1))
        worker.hear()
        assert do(running, "hold", name) == 0
    running.wait_for(lambda: waiting(running, capsys) == {"a@example.org": "held"})
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1))
        other = send(running, b"b@example.org")
        assert lease.decode_delivery(worker.hear()).recipients == (b"example.org-b@example.org",)
        assert do(running, "drop", other) == 0


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("size", [10, 300_000])
def test_a_dropped_message_is_gone(running, capsys, size, stopped):
    """Nobody gets it, nobody is told, and its file goes."""
    if size > intake.INLINE:
        with running.caller("intake", "smtpd") as client:
            client.say(intake.opening(b"bob@elsewhere.example", [b"a@example.org", b"b@elsewhere.example"]))
            for _ in range(5):
                client.say(netstring.encode(b"y" * 60_000))
            client.say(netstring.encode(b""))
            name = client.hear()[1:].decode()
    else:
        name = send(running, b"a@example.org", b"b@elsewhere.example")
    if stopped:
        running.stop()
    assert do(running, "drop", name) == 0
    assert waiting(running, capsys) == {}
    assert do(running, "drop", name) == 1
    if stopped:
        running.start()
    running.wait_for(lambda: not os.listdir(running.state.bodies))
    with running.caller("admin", "admin") as admin:
        assert admin.ask(do="ping")[0]["messages"] == 0


@pytest.mark.parametrize("report", [LATER, lease.Report(Result.PERMANENT, b"550 no"), lease.Report(Result.DONE)])
def test_a_message_dropped_while_workers_have_it_ends_with_their_reports(running, capsys, report):
    """Whatever they say: no retry, no bounce."""
    name = send(running, b"a@example.org", b"b@elsewhere.example", b"c@other.example")
    with running.caller("lease", "local") as worker, running.caller("lease", "remote") as remote:
        worker.say(lease.encode_credit(1))
        remote.say(lease.encode_credit(1))
        deliveries = [lease.decode_delivery(caller.hear()) for caller in (worker, remote)]
        assert do(running, "drop", name) == 0
        for caller, delivery in zip((worker, remote), deliveries, strict=True):
            caller.say(lease.encode_report(delivery.id, [report]))
        running.wait_for(lambda: running.events("finished"))
    assert waiting(running, capsys) == {}
    assert not running.events("bounced")
    running.stop()
    running.start()
    assert waiting(running, capsys) == {}


def test_a_message_dropped_while_a_worker_dies_with_it_ends(running, capsys):
    """Its delivery returns to nobody."""
    name = send(running, b"a@example.org")
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1))
        worker.hear()
        assert do(running, "drop", name) == 0
    running.wait_for(lambda: waiting(running, capsys) == {})
    with running.caller("admin", "admin") as admin:
        running.wait_for(lambda: admin.ask(do="ping")[0]["messages"] == 0)


def test_retry_makes_one_message_due(running, capsys):
    """And no other."""
    names = [send(running, b"a@example.org"), send(running, b"b@example.org")]
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(2))
        for _ in names:
            worker.say(lease.encode_report(lease.decode_delivery(worker.hear()).id, [LATER]))
        running.wait_for(lambda: len(running.events("deferred")) == 2)
        worker.say(lease.encode_credit(5))
        assert do(running, "retry", names[1]) == 0
        delivery = lease.decode_delivery(worker.hear())
        assert (delivery.recipients, delivery.attempt) == ((b"example.org-b@example.org",), 2)


def test_mistakes_are_told(running, capsys):
    """An unknown message is 1, no message 2, no queue at all 111."""
    assert do(running, "hold", "1k0vnjfcffm") == 1
    assert "no message" in capsys.readouterr().err
    assert do(running, "retry") == 2
    with pytest.raises(SystemExit, match="2"):
        do(running, "drop")
    assert main(["queue", "drop", "1k0vnjfcffm", "--state", str(running.state.root / "nowhere")]) == 111
