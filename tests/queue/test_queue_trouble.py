"""A queue whose disk is full: clients are asked to come back, nothing is lost, and it recovers by itself."""

import os
import resource
from types import SimpleNamespace

from appliance import intake, lease
from appliance.errors import Result
from appliance.queue.store import LOCAL

REQUEST = intake.request(b"bob@elsewhere.example", [b"alice@example.org"], b"Subject: x\n\n" + b"x" * 4000)
DONE = [lease.Report(Result.DONE)]


def limit(running, size):
    """No file of the queue may grow beyond this: writes fail as on a full disk."""
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_full_disk(running):
    """While it can't write the queue answers Z and keeps reports; afterwards it goes on, and has what it answered K."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        client.say(REQUEST)
        first = client.hear()
        worker.say(lease.encode_credit(1))
        delivery = lease.decode_delivery(worker.hear())
        limit(running, 4096)
        client.say(REQUEST * 3)
        assert [client.hear()[:1] for _ in range(3)] == [b"Z"] * 3
        worker.say(lease.encode_report(delivery.id, DONE))
        running.wait_for(lambda: len(running.events("trouble")) >= 2)
        assert running.events("finished") == []
        limit(running, resource.RLIM_INFINITY)
        running.wait_for(lambda: running.events("finished"))
        client.say(REQUEST)
        second = client.hear()
    assert {first[:1], second[:1]} == {b"K"}
    with running.caller("admin", "admin") as admin:
        assert [item["message"] for item in admin.ask(do="list")] == [second[1:].decode()]


def test_full_disk_and_a_large_message(running):
    """A body file that can't be written is answered Z and removed."""
    limit(running, 100_000)
    with running.caller("intake", "smtpd") as client:
        chunks = [intake.netstring.encode(b"x" * 60000) for _ in range(3)]
        client.say(intake.opening(b"a@b", [b"alice@example.org"]), *chunks, intake.netstring.encode(b""))
        assert client.hear()[:1] == b"Z"
    running.wait_for(lambda: not list(running.state.bodies.iterdir()))


def test_client_that_does_not_wait_for_its_answers(running):
    """Who hangs up before the answer harms nobody: what was read is kept, the others are served."""
    for _ in range(5):
        with running.caller("intake", "smtpd") as client:
            client.say(REQUEST * 20)
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        client.say(REQUEST)
        name = client.hear()[1:]
        worker.say(lease.encode_credit(200))
        while name not in (delivery := lease.decode_delivery(worker.hear())).content:
            worker.say(lease.encode_report(delivery.id, DONE))
    assert running.events("trouble") == []


def test_worker_that_hangs_up_at_once(running):
    """Workers that come and go in the middle of a backlog leave every delivery to the next one."""
    with running.caller("intake", "smtpd") as client:
        client.say(REQUEST * 30)
        for _ in range(30):
            client.hear()
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(30))
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(30))
        for _ in range(30):
            worker.say(lease.encode_report(lease.decode_delivery(worker.hear()).id, DONE))
        running.wait_for(lambda: len(running.events("finished")) == 30)
    assert running.events("trouble") == []


def test_nearly_full_disk(desk, monkeypatch, lines):
    """While little is free new mail is to come back later, and what is queued goes out; with room again mail is taken."""
    worker = desk.worker(LOCAL)
    desk.accept([b"alice@example.org"])
    monkeypatch.setattr(
        os, "statvfs", lambda _: SimpleNamespace(f_blocks=1 << 20, f_bavail=1000, f_frsize=4096, f_files=0)
    )
    desk.advance(1)
    worker.report(DONE[0])
    assert desk.service.room.short
    assert desk.service.count == 0
    monkeypatch.undo()
    desk.advance(10)
    assert not desk.service.room.short
    assert "new mail is answered 452" in lines()
    assert "there is room again" in lines()
