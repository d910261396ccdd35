"""kill -9 of the queue just before chosen system calls: nothing that was answered K is lost at any of them."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from queue_parts import make_state
from queue_process import PROGRAM, Caller, Running
from today import todays

from appliance import door, intake, lease
from appliance.enqueue import submit_late
from appliance.envelope import Envelope
from appliance.errors import MailError, Result

# the call, and before which of one thread's calls the kill comes; the first ones are those of the start
POINTS = [
    *(("fdatasync", n) for n in (1, 2, 3, 4, 7, 12, 23, 40)),
    *(("pwrite64", n) for n in (1, 2, 3, 4, 20, 45, 46, 47, 48, 49, 200)),
    *(("pwritev2", n) for n in (1, 2, 3, 5, 10, 20, 30)),
    *(("fsync", n) for n in (1, 2, 3, 4, 6)),
    *(("write", n) for n in (1, 3, 20, 60)),
    *(("sendmsg", n) for n in (1, 5)),
    *(("unlink", n) for n in (1, 2, 3, 4, 5)),
    *(("rename", n) for n in (1, 2)),
]  # fmt: skip
TOKEN = re.compile(rb"token-[0-9]+-")
DONE = lease.Report(Result.DONE)
MESSAGES = 24  # in each round, if it comes that far
WHO = {
    b"alice@example.org": DONE,
    b"nobody@example.org": lease.Report(Result.PERMANENT, b"no"),  # reported while the next one waits, or with its end
    b"slow@example.org": lease.Report(Result.TEMPORARY, b"busy"),  # at first
}


def _usable():
    """May a process be traced here?"""
    return shutil.which("strace") and not subprocess.run(["strace", "-o", os.devnull, "true"], check=False).returncode


class Traced(Running):
    """A queue that is killed when it is about to make a certain system call."""

    point = None

    def start(self):
        if self.point is None:
            super().start()
            return
        call, number = self.point
        trace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
        trace += ["-e", f"inject={call}:signal=KILL:when={number}"]
        with open(self.log_path, "ab") as log:
            command = [*trace, sys.executable, "-c", PROGRAM, str(self.state.root)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # strace and the queue
        super().kill()


class Neighbours:
    """smtpd, local and remote in one: what they were promised, and what they have seen."""

    def __init__(self, state):
        self.state = state
        self.promised, self.seen, self.failed, self.delayed, self.sent = set(), set(), {}, {}, 0

    def feed(self):
        """Small and large messages, each to somebody and to nobody, one after the other, until the queue is gone; how many."""
        hello = door.hello("smtpd", door.read_token(self.state, "smtpd"))
        letter = Envelope(b"bob@elsewhere.example", tuple(WHO))
        for count in range(MESSAGES):
            self.sent += 1
            token = b"token-%d-" % self.sent
            text = b"Subject: %b\n\n" % token + b"x" * (200_000 if self.sent % 4 == 2 else 3000)
            try:
                if self.sent % 8 == 2:  # the envelope comes last
                    name = submit_late(self.state, hello, [text], lambda: letter)
                else:
                    name = intake.submit_blocking(self.state, hello, *letter, [text])
                self.promised.add(token)
                self.meddle(token, name)
            except (MailError, OSError):
                return count
        return MESSAGES

    def meddle(self, token, name):
        """A postmaster holds some messages for a moment, drops others, and hurries what waits."""
        verbs = {3: ("hold", "release"), 4: ("hold",), 5: ("drop",), 0: ("retry",)}.get(self.sent % 9, ())
        if verbs == ("drop",):
            self.promised.discard(token)
        for verb in verbs:
            with Caller(self.state, "admin", "admin") as admin:
                admin.ask(do=verb, **({"id": name} if verb != "retry" else {}))

    def work(self, role):
        """Deliveries until the queue is gone."""
        hello = lease.worker_hello(self.state, role)
        with contextlib.suppress(OSError), Caller(self.state, "lease", role) as worker:
            worker.say(lease.encode_credit(20))
            while frame := worker.hear():
                delivery = lease.decode_delivery(frame)
                content = delivery.content
                if content is None:
                    fd = lease.fetch_body(self.state, hello, delivery.message)
                    content = os.pread(fd, 1000, 0)
                    os.close(fd)
                token = TOKEN.search(content)[0]
                if b"\nAction: delayed\n" in content:
                    self.delayed.setdefault(token, set()).add(delivery.message)
                elif role == "remote":  # nothing but bounces and these
                    self.failed.setdefault(token, set()).add(delivery.message)
                elif b"alice" in b"".join(delivery.recipients):
                    self.seen.add(token)
                known = WHO if delivery.attempt <= 2 else {}
                reports = [known.get(to.removeprefix(b"example.org-"), DONE) for to in delivery.recipients]
                worker.say(lease.encode_report(delivery.id, reports), lease.encode_credit(1))


@pytest.mark.skipif(not _usable(), reason="strace can't be used here")
def test_kill_before_each_kind_of_system_call(tmp_path):
    """Killed before any of its writes, syncs, answers and removals, the queue has all that it promised to keep, and tells it once."""
    queue = Traced(make_state(tmp_path / "state", bounces="reportafter:1\ndelaynotice:1"))
    near = Neighbours(queue.state)
    reached = 0
    points = todays(POINTS, 3)
    for point in [*points, None]:
        queue.kill()
        queue.point = point
        for name in ("intake", "lease", "admin"):
            queue.state.door(name).unlink(missing_ok=True)
        queue.start()
        while queue.process.poll() is None and not queue.state.door("admin").exists():
            time.sleep(0.01)
        threads = [threading.Thread(target=near.work, args=(role,)) for role in ("local", "remote")]
        for thread in threads:
            thread.start()
        if point is not None:
            reached += near.feed() < MESSAGES
        else:
            with queue.caller("admin", "admin") as admin:
                for item in admin.ask(do="list"):
                    admin.ask(do="release", id=item["message"])
                try:
                    queue.wait_for(lambda: admin.ask(do="retry") and admin.ask(do="ping")[0]["messages"] == 0)
                except AssertionError as error:
                    alive = [thread.is_alive() for thread in threads]
                    raise AssertionError(f"left: {admin.ask(do='list')}, workers alive: {alive}") from error
        queue.kill()
        for thread in threads:
            thread.join()
    assert near.promised <= near.seen
    assert near.promised <= set(near.failed)
    assert {len(bounces) for bounces in near.failed.values()} == {1}
    assert {len(notices) for notices in near.delayed.values()} == {1}
    assert reached > len(points) // 2
    assert len(near.promised) > len(points)
