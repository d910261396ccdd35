"""The doors of a running queue: who may enter, what is answered, what a stranger can't do."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from queue_process import PROGRAM

from appliance import door, intake, lease, netstring, safeio
from appliance.errors import Result

DONE = [lease.Report(Result.DONE, b"ok")]
SMALL = intake.request(b"bob@elsewhere.example", [b"alice@example.org"], b"Subject: x\n\ntext\n")


def finish(running, worker):
    """Take the next delivery and report it done."""
    delivery = lease.decode_delivery(worker.hear())
    worker.say(lease.encode_report(delivery.id, DONE))
    return delivery


def test_in_and_out(running):
    """A message goes in at one door and out at the other; pipelined requests are answered in order."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        client.say(SMALL, SMALL, netstring.encode(b"nonsense"), SMALL)
        answers = [client.hear() for _ in range(4)]
        assert [answer[:1] for answer in answers] == [b"K", b"K", b"D", b"K"]
        worker.say(lease.encode_credit(10))
        for _ in range(3):
            assert finish(running, worker).recipients == (b"example.org-alice@example.org",)
        running.wait_for(lambda: len(running.events("finished")) == 3)


def test_first_mail_after_an_activation(running):
    """A domain added a moment ago is local already for the first message that arrives for it."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(10))
        client.say(SMALL)
        client.hear()
        finish(running, worker)
        running.wait_for(lambda: running.events("finished"))
        control = running.state.generations / "second" / "control"
        shutil.copytree(running.state.generations / "first", control.parent)
        (control / "virtualdomains").write_text("new.example:new.example\n")
        safeio.replace_link(running.state.generation, "second")
        client.say(intake.request(b"bob@elsewhere.example", [b"carol@new.example"], b"Subject: x\n\n"))
        assert client.hear()[:1] == b"K"
        assert finish(running, worker).recipients == (b"new.example-carol@new.example",)


@pytest.mark.parametrize("name", ["intake", "lease", "admin"])
def test_wrong_token_is_shown_out(running, name):
    """A door opens only for its own roles with their own token."""
    role = {"intake": "smtpd", "lease": "local", "admin": "admin"}[name]
    other = "remote" if name == "intake" else "smtpd"
    for hello in (
        door.hello(role, b"0" * 64),
        door.hello(role, door.read_token(running.state, other)),
        door.hello(other, door.read_token(running.state, other)),
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with running.caller(name, role, hello) as stranger:
            assert stranger.hear() is None
    assert len(running.events("warning")) == 4


def test_doors_are_for_the_owner_only(running):
    """No other user of the machine can reach the doors or the queue's files."""
    for name in ("intake", "lease", "admin"):
        assert running.state.door(name).stat().st_mode & 0o777 == 0o600
    assert running.state.queue.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "role", "bad"),
    [
        ("intake", "smtpd", b"999999999:"),
        ("intake", "smtpd", b"hello"),
        ("intake", "smtpd", b"3:abcX"),
        ("intake", "smtpd", netstring.encode(b"Lnonsense")),
        ("lease", "local", netstring.encode(b"X1")),
        ("lease", "local", netstring.encode(b"Wmany")),
        ("lease", "local", netstring.encode(b"Rnothing\0")),
        ("admin", "admin", b"01:x,"),
    ],
)
def test_malformed_frames_end_the_connection(running, name, role, bad):
    """Who does not keep to the protocol is disconnected, and the queue goes on."""
    with running.caller(name, role) as caller:
        caller.say(bad)
        assert caller.hear() is None
    with running.caller("intake", "smtpd") as client:
        client.say(SMALL)
        assert client.hear()[:1] == b"K"


def test_worker_that_disconnects_returns_its_leases(running):
    """What a worker had in hand goes to the next one; a report for what it does not hold is ignored."""
    with running.caller("intake", "smtpd") as client:
        client.say(SMALL)
        client.hear()
    with running.caller("lease", "local") as first:
        first.say(lease.encode_credit(1))
        delivery = lease.decode_delivery(first.hear())
        with running.caller("lease", "local") as thief:
            thief.say(lease.encode_report(delivery.id, DONE))
            running.wait_for(lambda: running.events("warning"))
    with running.caller("lease", "local") as second:
        second.say(lease.encode_credit(1))
        assert finish(running, second).id == delivery.id
        running.wait_for(lambda: running.events("finished"))


def test_killed_queue_has_lost_nothing(running):
    """After kill -9 every message that was answered K is handed out again, until it is reported."""
    ids = set()
    with running.caller("intake", "smtpd") as client:
        client.say(SMALL * 50)
        ids = {client.hear()[1:] for _ in range(50)}
    running.kill()
    running.start()
    seen = set()
    with running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(100))
        while len(seen) < 50:
            seen.add(finish(running, worker).content.split(b" ", 3)[2])
        running.wait_for(lambda: len(running.events("finished")) == 50)
    assert seen == ids


def test_second_queue_is_refused(running):
    """A second queue on the same state folder ends with a clear line, and the first goes on."""
    second = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(running.state.root)], capture_output=True, timeout=20, check=False
    )
    assert second.returncode == 111
    assert b"in use by another process" in second.stdout
    with running.caller("admin", "admin") as admin:
        assert admin.ask(do="ping")[0]["messages"] == 0


def test_no_configuration(running):
    """Without a generation the queue ends with a clear line, to be started again later."""
    running.stop()
    running.state.generation.unlink()
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(running.state.root)], capture_output=True, timeout=20, check=False
    )
    assert ended.returncode == 111
    assert b"cannot start" in ended.stdout


def test_stop_waits_for_reports(running):
    """Told to stop, the queue still takes the reports of what workers have in hand."""
    with running.caller("intake", "smtpd") as client, running.caller("lease", "local") as worker:
        worker.say(lease.encode_credit(1))
        client.say(SMALL, SMALL)
        delivery = lease.decode_delivery(worker.hear())
        running.process.send_signal(signal.SIGTERM)
        running.wait_for(lambda: running.events("stopping"))
        worker.say(lease.encode_report(delivery.id, DONE), lease.encode_credit(1))
        assert running.stop() == 0
        assert worker.hear() is None
    assert len(running.events("finished")) == 1
    assert set(os.listdir(running.state.queue)) == {
        "body",
        "journal",
        "queue.sqlite",
    }  # the write-ahead log is folded back


def test_ping_counts(running):
    """The health check learns how many messages there are and which programs are connected."""
    with (
        running.caller("intake", "smtpd") as client,
        running.caller("lease", "remote") as worker,
        running.caller("admin", "admin") as admin,
    ):
        client.say(SMALL)
        client.hear()
        worker.say(lease.encode_credit(1))
        running.wait_for(lambda: admin.ask(do="ping")[0]["workers"]["remote"] == 1)
        assert admin.ask(do="ping") == [
            {"messages": 1, "workers": {"smtpd": 1, "local": 0, "remote": 1}, "configuration": "first"}
        ]
        assert "error" in admin.ask(do="dance")[0]


def test_an_idle_queue_knows_the_new_configuration(running):
    """Health, asked right after an activation, hears of no old configuration though no mail came since."""
    (running.state.generations / "second" / "control").mkdir(parents=True)
    (running.state.generations / "second" / "control" / "me").write_text("mx.example.org\n")
    safeio.replace_link(running.state.generation, "second")
    with running.caller("admin", "admin") as admin:
        assert admin.ask(do="ping")[0]["configuration"] == "second"
