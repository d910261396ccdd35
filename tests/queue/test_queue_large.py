"""Messages too large for a row: streamed to a file, handed out as a descriptor, never left behind."""

import os

import pytest
from queue_parts import make_state
from queue_process import Running

from appliance import door, envelope, intake, lease, netstring
from appliance.errors import Permanent, Result

TEXT = b"Subject: large\n\n" + b"0123456789abcde\n" * 20000  # 320 KiB


def send(running, content=TEXT, recipients=(b"alice@example.org",), role="smtpd"):
    hello = door.hello(role, door.read_token(running.state, role))
    chunks = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]
    return intake.submit_blocking(running.state, hello, b"bob@elsewhere.example", recipients, chunks)


def bodies(running):
    return os.listdir(running.state.bodies)


def test_in_and_out(running):
    """The worker gets a descriptor of exactly the content; the file goes when the message ends."""
    name = send(running)
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1))
        delivery = lease.decode_delivery(worker.hear())
        assert delivery.content is None
        hello = lease.worker_hello(running.state, "local")
        fd = lease.fetch_body(running.state, hello, delivery.message)
        with os.fdopen(fd, "rb") as file:
            received, _, content = file.read().partition(b"\n")
        assert name.encode() in received
        assert content == TEXT
        assert delivery.size == len(received) + 1 + len(TEXT)
        worker.say(lease.encode_report(delivery.id, [lease.Report(Result.DONE)]))
        running.wait_for(lambda: running.events("finished") and not bodies(running))
        with pytest.raises(OSError, match="no content"):
            lease.fetch_body(running.state, hello, delivery.message)


def test_dropped_connection_leaves_nothing(running):
    """A client that goes away in the middle of a message leaves no message and no file."""
    with running.caller("intake", "smtpd") as client:
        client.say(intake.opening(b"a@b", [b"alice@example.org"]), netstring.encode(TEXT[:60000]) * 12)
        running.wait_for(lambda: bodies(running))
    running.wait_for(lambda: not bodies(running))
    with running.caller("admin", "admin") as admin:
        assert admin.ask(do="list") == []


def test_orphan_files_are_removed_at_start(running):
    """A crash before the commit leaves a file without a message: it goes at the next start, others stay."""
    send(running)
    (kept,) = bodies(running)
    with running.caller("intake", "smtpd") as client:
        client.say(intake.opening(b"a@b", [b"alice@example.org"]), netstring.encode(TEXT[:60000]) * 12)
        running.wait_for(lambda: len(bodies(running)) == 2)
        running.kill()
    running.start()
    assert bodies(running) == [kept]
    assert "1 unfinished" in running.events("warning")[0]["what"]


def test_limit(tmp_path):
    """The queue obeys control/databytes too, as the last defence against the network; trace lines are on top (trap 26)."""
    running = Running(make_state(tmp_path / "state", databytes="180000"))
    with pytest.raises(Permanent, match="too large"):
        send(running, TEXT[:190_000])
    assert send(running, TEXT[:150_000])
    assert send(running, b"Received: x\n" * 20 + TEXT[:180_000])
    for role in ("local", "inject"):  # a forward has no limit, a command on this machine some room for what it adds
        assert send(running, TEXT[:190_000], role=role)
    with pytest.raises(Permanent, match="too large"):
        send(running, TEXT[:260_000], role="inject")
    running.wait_for(lambda: len(bodies(running)) == 4)
    running.stop()


def test_bounce_holds_the_header_only(running):
    """The bounce of a large message returns its header, and the file goes with the message."""
    send(running)
    with running.caller("lease", "local") as worker, running.caller("lease", "remote") as remote:
        worker.say(lease.encode_credit(1))
        delivery = lease.decode_delivery(worker.hear())
        worker.say(lease.encode_report(delivery.id, [lease.Report(Result.PERMANENT, b"no")]))
        remote.say(lease.encode_credit(1))
        bounce = lease.decode_delivery(remote.hear())
    assert b"Subject: large\n\n\n--" in bounce.content
    assert b"The header of the message is attached: it is too large" in bounce.content
    running.wait_for(lambda: not bodies(running))


def test_large_message_for_nobody(running):
    """A large message without recipients is valid, and leaves no file."""
    assert send(running, recipients=())
    running.wait_for(lambda: running.events("finished") and not bodies(running))


def test_garbage_in_the_stream(running):
    """A chunk that is too large ends the connection, and leaves nothing."""
    with running.caller("intake", "smtpd") as client:
        client.say(intake.opening(b"a@b", [b"alice@example.org"]), netstring.encode(b"x" * 70000))
        assert client.hear() is None
    running.wait_for(lambda: not bodies(running))


LATE = (intake.LATE, netstring.encode(TEXT[:60000]), netstring.encode(b""))


def test_an_envelope_may_come_after_the_content(running):
    """QMTP, QMQP and qmail-queue learn the recipients last; the content waits in its file meanwhile."""
    recipients = [b"alice@example.org"] + [b"u%d@elsewhere.example" % n for n in range(10_000)]  # larger than a chunk
    with running.caller("intake", "qmtpd") as client:
        client.say(*LATE)
        running.wait_for(lambda: bodies(running))
        client.say(netstring.encode(envelope.encode(b"a@b", recipients)))
        assert client.hear()[:1] == b"K"
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1))
        delivery = lease.decode_delivery(worker.hear())
    assert delivery.recipients == (b"example.org-alice@example.org",)


@pytest.mark.parametrize(
    ("last", "answer"),
    [
        (b"Fa@b\0Talice@example.org\0\0more", b"D"),
        (b"no envelope", b"D"),
        (b"Fa@b\0T" + b"x" * 1003 + b"\0\0", b"D"),
        (None, None),
    ],
)
def test_a_bad_or_missing_envelope_leaves_nothing(running, last, answer):
    """What is no envelope is refused for good; without one nobody is answered, and the file goes."""
    with running.caller("intake", "inject") as client:
        client.say(*LATE, *([] if last is None else [netstring.encode(last)]))
        if answer:
            assert client.hear()[:1] == answer
    running.wait_for(lambda: not bodies(running))
    with running.caller("admin", "admin") as admin:
        assert admin.ask(do="list") == []


def test_a_late_envelope_gets_ids_that_nobody_has(running):
    """Mail that comes between a content and its envelope is another message: after a restart each ends by itself."""
    with running.caller("intake", "qmtpd") as slow, running.caller("intake", "smtpd") as quick:
        slow.say(*LATE)
        running.wait_for(lambda: bodies(running))
        for _ in range(3):
            quick.say(intake.request(b"a@b", [b"bob@example.org", b"x@one.example"], b"Subject: x\n\n"))
            quick.hear()
        slow.say(netstring.encode(envelope.encode(b"a@b", [b"alice@example.org", b"y@two.example"])))
        name = slow.hear()[1:]
    assert running.stop() == 0
    running.start()
    with running.caller("admin", "admin") as admin:
        found = admin.ask(do="show", id=name.decode())[0]
        assert [each["address"] for each in found["recipients"]] == ["alice@example.org", "y@two.example"]
        assert name.decode() in found["header"].splitlines()[0]
        for role, left in (("local", 4), ("remote", 0)):
            with running.caller("lease", role) as worker:
                worker.say(lease.encode_credit(10))
                for _ in range(4):
                    delivery = lease.decode_delivery(worker.hear())
                    worker.say(lease.encode_report(delivery.id, [lease.Report(Result.DONE)]), lease.encode_credit(1))
                running.wait_for(lambda left=left: admin.ask(do="ping")[0]["messages"] == left)
    running.wait_for(lambda: not bodies(running))
