"""kill -9 of the queue under load, at any instant: nothing that was answered K is lost."""

import random
import threading
import time

from queue_parts import make_state
from queue_process import Caller, Running

from appliance import intake, lease
from appliance.errors import Result

DONE = [lease.Report(Result.DONE)]
REQUEST = intake.request(
    b"bob@elsewhere.example", [b"alice@example.org", b"x@remote.example"], b"Subject: x\n\n" + b"x" * 3000
)
ROUNDS = 6


def feed(state, answered):
    """Requests until the queue is gone; remembers the ids it promised to keep."""
    with Caller(state, "intake", "smtpd") as client:
        try:
            while True:
                client.say(REQUEST * 10)
                for _ in range(10):
                    answer = client.hear()
                    if answer is None:
                        return
                    answered.append(answer[1:])
        except OSError:
            return


def work(state, role, seen):
    """Deliveries until the queue is gone; remembers whom it delivered."""
    with Caller(state, "lease", role) as worker:
        try:
            worker.say(lease.encode_credit(50))
            while frame := worker.hear():
                delivery = lease.decode_delivery(frame)
                seen.append(delivery.content.split(b" ", 3)[2])
                worker.say(lease.encode_report(delivery.id, DONE), lease.encode_credit(1))
        except OSError:
            return


def test_kill_under_load(running):
    """Every promised message reached each of its two recipients, before or after the kills."""
    answered, local, remote = [], [], []
    chance = random.Random(1)
    for round_ in range(ROUNDS + 1):
        calls = [(work, "local", local), (work, "remote", remote)]
        threads = [threading.Thread(target=call, args=(running.state, *rest)) for call, *rest in calls]
        if round_ < ROUNDS:
            threads.append(threading.Thread(target=feed, args=(running.state, answered)))
        for thread in threads:
            thread.start()
        if round_ < ROUNDS:
            time.sleep(chance.uniform(0.02, 0.4))
        else:
            with running.caller("admin", "admin") as admin:
                running.wait_for(lambda: admin.ask(do="ping")[0]["messages"] == 0)
        running.kill()
        for thread in threads:
            thread.join()
        running.start()
    assert len(answered) > 20
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(local)
    assert set(answered) <= set(remote)


SLOW = {b"nobody": lease.Report(Result.PERMANENT, b"no"), b"slow": lease.Report(Result.TEMPORARY, b"busy")}


def work_slowly(state, role, told):
    """Nobody exists, one mailbox is busy, and who reads the bounces remembers which bounce tells of which message."""
    with Caller(state, "lease", role) as worker:
        try:
            worker.say(lease.encode_credit(50))
            while frame := worker.hear():
                delivery = lease.decode_delivery(frame)
                if role == "remote":
                    for line in delivery.content.split(b"\n"):
                        if line.startswith(b"Subject: token"):
                            told.setdefault(line, set()).add(delivery.message)
                reports = [SLOW.get(to.partition(b"-")[2].partition(b"@")[0], DONE[0]) for to in delivery.recipients]
                worker.say(lease.encode_report(delivery.id, reports), lease.encode_credit(1))
        except OSError:
            return


def test_kill_around_reports_that_come_before_the_end(tmp_path):
    """Killed whenever failures are reported while another recipient waits, the queue reports each in exactly one bounce."""
    running = Running(make_state(tmp_path / "state", bounces="reportafter:1"))
    chance, sent, told = random.Random(2), [], {}
    for round_ in range(ROUNDS + 1):
        threads = [threading.Thread(target=work_slowly, args=(running.state, r, told)) for r in ("local", "remote")]
        for thread in threads:
            thread.start()
        end = time.monotonic() + chance.uniform(0.3, 1.6)
        while round_ < ROUNDS and time.monotonic() < end:
            with running.caller("intake", "smtpd") as client:
                subject = b"Subject: token %d." % len(sent)
                people = [b"nobody@example.org", b"slow@example.org", b"alice@example.org"]
                client.say(intake.request(b"bob@elsewhere.example", people, subject + b"\n\ntext\n"))
                if client.hear()[:1] == b"K":
                    sent.append(subject)
            time.sleep(0.02)
        if round_ == ROUNDS:
            running.wait_for(lambda: len(told) == len(sent))
            time.sleep(0.5)
        running.kill()
        for thread in threads:
            thread.join()
        running.start()
    running.stop()
    assert len(sent) > 20
    assert set(told) == set(sent)
    assert {len(bounces) for bounces in told.values()} == {1}
