"""kill -9 of the queue under load, at any instant: nothing that was answered K is lost."""

import random
import threading
import time

from queue_process import Caller

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
