"""A queue with mail in all of its files, ways to damage them, and the count of what became of each message."""

import os
import re
import shutil
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "queue"))
from queue_parts import make_state
from queue_process import Caller, Running

from appliance import door, intake, lease
from appliance.errors import Result
from appliance.state import State

TOKEN = re.compile(rb"token-(\d+)-")
LOCAL, REMOTE = b"alice@example.org", b"x@remote.example"
DONE = lease.Report(Result.DONE)
PAPERPATH = Path(sys.executable).with_name("paperpath")
LARGE = intake.INLINE + 100_000


class Post:
    """Sends messages with tokens, and knows which were answered K and for whom."""

    def __init__(self) -> None:
        self.owed: set[tuple[int, bytes]] = set()
        self.large: set[int] = set()
        self.ids: dict[int, bytes] = {}
        self._next = 0

    def content(self, size: int) -> bytes:
        self._next += 1
        return b"Subject: token-%d-\n\n" % self._next + b"%07d\n" % self._next * (size // 8)

    def send(self, state: State, count: int, size: int = 3000, to: tuple[bytes, ...] | None = None) -> None:
        """Small ones, to the mailbox, to another host, and to both by turns."""
        ways = [(LOCAL,), (REMOTE,), (LOCAL, REMOTE)]
        with Caller(state, "intake", "smtpd") as client:
            for _ in range(count):
                content = self.content(size)
                people = to or ways[self._next % 3]
                client.say(intake.request(b"bob@elsewhere.example", list(people), content))
                self._note(client.hear(), people)

    def send_large(self, state: State, count: int) -> None:
        """Those whose content is a file."""
        hello = door.hello("smtpd", door.read_token(state, "smtpd"))
        for _ in range(count):
            content = self.content(LARGE)
            chunks = [content[start : start + 60_000] for start in range(0, len(content), 60_000)]
            name = intake.submit_blocking(state, hello, b"bob@elsewhere.example", [LOCAL], chunks)
            self._note(b"K" + name.encode(), (LOCAL,))
            self.large.add(self._next)

    def _note(self, answer: bytes | None, people: tuple[bytes, ...]) -> None:
        assert (answer or b"")[:1] == b"K", answer
        self.ids[self._next] = answer[1:]
        self.owed |= {(self._next, person) for person in people}


class Workers:
    """Both kinds of workers; they deliver all they get and note it. Bounces and letters are notes, too."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.got: list[tuple[int, bytes]] = []  # token, recipient
        self.notices: list[bytes] = []  # contents of what came with the empty sender or that of a double bounce
        self.wrong: list[bytes] = []
        self._ended = False
        self._threads = [threading.Thread(target=self._work, args=(role,)) for role in ("local", "remote")]
        for thread in self._threads:
            thread.start()

    def _work(self, role: str) -> None:
        while not self._ended:
            try:
                with Caller(self._running.state, "lease", role) as worker:
                    worker.say(lease.encode_credit(20))
                    while not self._ended and (frame := worker.hear()):
                        delivery = lease.decode_delivery(frame)
                        worker.say(
                            lease.encode_report(delivery.id, [self._take(role, delivery)] * len(delivery.recipients)),
                            lease.encode_credit(1),
                        )
            except OSError:
                time.sleep(0.05)

    def _take(self, role: str, delivery: lease.Delivery) -> lease.Report:
        content = delivery.content
        if content is None:
            try:
                fd = lease.fetch_body(
                    self._running.state, lease.worker_hello(self._running.state, role), delivery.message
                )
            except OSError:
                return lease.Report(Result.TEMPORARY, b"no body")
            with os.fdopen(fd, "rb") as file:
                content = file.read()
        content = bytes(content)
        if delivery.sender in (b"", b"#@[]") and b"bob@elsewhere" not in delivery.sender:
            self.notices.append(content)
        found = TOKEN.search(content)
        first = content.partition(b"\n")[2]
        if found and first.startswith(b"Subject: token-"):
            number = int(found[1])
            if first.partition(b"\n\n")[2].strip(b"\n").replace(b"%07d" % number, b"").strip(b"\n"):
                self.wrong.append(content)
            self.got += [(number, LOCAL if b"example.org" in r else REMOTE) for r in delivery.recipients]
        return DONE

    def end(self) -> None:
        self._ended = True
        self._running.stop()
        for thread in self._threads:
            thread.join()

    def told(self, token: int) -> bool:
        """Whether some notice is about that message."""
        return any(b"token-%d-" % token in notice for notice in self.notices)


def wait_empty(running: Running, seconds: float = 120) -> None:
    """Until the queue has recovered all and delivered it."""

    def empty() -> bool:
        if any(not (folder / "report").exists() for folder in running.state.queue.glob("damaged-*")):
            return False
        try:
            with Caller(running.state, "admin", "admin") as admin:
                admin.ask(do="retry")
                return admin.ask(do="ping")[0]["messages"] == 0
        except OSError:
            return False

    running.wait_for(empty, seconds)


def build(root: Path, *, stopped: bool) -> tuple[State, Post]:
    """300 messages in the database and 3 in files; stopped, or killed at work with 30 more in the journal."""
    running = Running(make_state(root, bouncefrom="MAILER-DAEMON"))
    post = Post()
    post.send(running.state, 300)
    post.send_large(running.state, 3)
    assert running.stop() == 0
    if stopped:
        return running.state, post
    running.start()
    post.send(running.state, 30)
    running.kill()
    return running.state, post


def build_logged(root: Path) -> tuple[State, Post]:
    """A queue killed when several sums were in the database's log only, and 10 messages in the journal."""
    running = Running(make_state(root))
    post = Post()
    for _ in range(4):
        post.send(running.state, 20)
        with Caller(running.state, "admin", "admin") as admin:
            admin.ask(do="list")
    post.send(running.state, 10)
    running.kill()
    return running.state, post


def copied(state: State, root: Path) -> State:
    """The same in another place; holes of files stay holes."""
    shutil.copytree(state.root, root, symlinks=True, ignore=shutil.ignore_patterns("*.sock", "queue.log"))
    return State(root)


def overwrite(path: Path, position: int, data: bytes) -> None:
    """Change some bytes of a file."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)
