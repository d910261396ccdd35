"""A queue at work, and what must be in it after a power cut.

The queue's own code does all of it: the start as in its `main`, accepting, commits, leases, reports, bounces, folds,
checkpoints, the orderly stop.  The journal is small, so that it is full often.
"""

import re
import sys
from functools import partial
from pathlib import Path
from random import Random

from appliance.envelope import Envelope
from appliance.queue import sqlite
from appliance.queue.body import Arriving, Bodies
from appliance.queue.durable import DurableStore
from appliance.queue.main import open_store
from appliance.queue.rescue import aside
from appliance.queue.store import LOCAL, REMOTE, recipients
from appliance.state import State

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "queue"))
from queue_parts import DONE, LATER, NEVER, Desk, make_state

JOURNAL = 64 * 1024
TOKEN = re.compile(rb"token-[0-9]+-")
SENDER = b"bob@elsewhere.example"
WHO = (b"alice@example.org", b"carol@example.org", b"dan@far.example")
ANSWERS = {"deliver": DONE, "put off": LATER, "refuse": NEVER}


def start(state: State, size: int = JOURNAL) -> DurableStore:
    """As the program does."""
    aside.DurableStore = partial(DurableStore, size=size)
    aside.hold = lambda _: -1  # for as long as a process lives; this one starts many queues
    sqlite.SOME = 0  # each quiet moment writes the log into the database
    store = open_store(state)
    Bodies(state.bodies).remove_orphans(store.contains, aside.strays(state))
    return store


def prepared(root: Path) -> State:
    """A state folder in which no queue was ever started."""
    state = make_state(root, bounces="reportafter:0")
    state.bodies.rmdir()
    state.queue.rmdir()
    return state


class Post:
    """The queue, those who bring mail and those who deliver it; `mark` writes down what was promised."""

    def __init__(self, state: State, mark, seed: int = 0) -> None:
        self.state, self.mark, self.random, self.sent = state, mark, Random(seed), 0
        self.desk = Desk(state, start(state))

    def do(self, step: str) -> None:
        """One of STEPS."""
        getattr(self, step.replace(" ", "_"), None) and getattr(self, step.replace(" ", "_"))()
        if step in ANSWERS:
            self.report(ANSWERS[step])

    def _letter(self, size: int) -> tuple[bytes, bytes, Envelope]:
        self.sent += 1
        token = b"token-%d-" % self.sent
        whom = tuple(self.random.sample(WHO, self.random.randint(1, 3)))
        content = b"Subject: %b\n\n" % token + self.random.randbytes(size // 2).hex().encode() + b"\n"
        self.mark("sent", token, content, whom)
        return token, content, Envelope(SENDER, whom)

    def _answer(self, token: bytes, answer: bytes) -> None:
        assert answer.startswith(b"K"), answer
        self.mark("accepted", token)

    def small(self, size: int = 900) -> None:
        token, content, letter = self._letter(size)
        self.desk.service.accept("smtpd", letter, content, partial(self._answer, token))
        self.desk.run()

    def several(self) -> None:
        for size in (300, 3000, 12_000):
            token, content, letter = self._letter(size)
            self.desk.service.accept("smtpd", letter, content, partial(self._answer, token))
        self.desk.run()

    def large(self) -> None:
        token, content, letter = self._letter(20_000)
        service, now = self.desk.service, self.desk.now
        number, ways = service.place(letter, now)
        file, head = Arriving(number), service.received(number, "smtpd", now)
        service.bodies.write(file, head + content[:9000], ended=False)
        service.bodies.write(file, content[9000:], ended=True)
        size = len(head) + len(content)
        service.accept_body("smtpd", letter, number, ways, size, partial(self._answer, token))
        self.desk.run()

    def envelope_last(self) -> None:
        token, content, letter = self._letter(20_000)
        service, now = self.desk.service, self.desk.now
        first, _ = service.place(Envelope(b"", ()), now)
        file, head = Arriving(first), service.received(first, "smtpd", now)
        service.bodies.write(file, head + content, ended=False)
        number, ways = service.place(letter, now)
        service.bodies.rename(file, service.received(number, "smtpd", now), number)
        service.accept_body("smtpd", letter, number, ways, len(head) + len(content), partial(self._answer, token))
        self.desk.run()

    def report(self, report) -> None:
        """Some deliveries end so."""
        for channel in (LOCAL, REMOTE):
            worker = self.desk.worker(channel, credit=3)
            while worker.taken:
                delivery = worker.taken[0]
                content = delivery.content or (self.state.bodies / str(delivery.message)).read_bytes()
                token = TOKEN.search(content)[0]
                if delivery.sender != SENDER:
                    token = b"bounce of " + token
                for one in delivery.recipients:
                    self.mark("report", token, public(one), report.result)
                worker.report(*[report] * len(delivery.recipients))
                for one in delivery.recipients:
                    self.mark("reported", token, public(one), report.result)
            worker.leave()

    def list(self) -> None:
        self.desk.store.listing(0, 10)

    def rest(self) -> None:
        self.desk.store.tidy(idle=True)

    def wait(self) -> None:
        self.desk.advance(4 * 3600)

    def restart(self) -> None:
        self.stop()
        now = self.desk.now
        self.desk = Desk(self.state, start(self.state))
        self.desk.now = max(now, self.desk.now)

    def stop(self) -> None:
        self.desk.stop()


STEPS = ("small", "several", "large", "envelope last", *ANSWERS, "list", "rest", "wait", "restart")
SCRIPT = (
    *("small", "several", "large", "deliver", "small", "small", "refuse", "several", "put off", "rest", "envelope last"),
    *("small", "restart", "large", "wait", "deliver", "several", "list", "refuse", "small", "rest", "deliver", "small"),
)  # fmt: skip


def public(address: bytes) -> bytes:
    return address.removeprefix(b"example.org-")


def work(state: State, mark, steps=SCRIPT, seed: int = 0) -> None:
    """All of the steps, and an orderly stop."""
    post = Post(state, mark, seed)
    for step in steps:
        post.do(step)
    post.stop()


def judge(image: Path, marks: list[tuple]) -> None:
    """Start the queue on what is left and compare with what was promised."""
    state = State(image)
    store = start(state)
    try:
        assert not aside.folders(state.queue), "a queue was taken for damaged"
        found, bounced = _found(state, store)
    finally:
        store.close()
    said = [mark[1:] for mark in marks if mark[0] == "sent"]
    assert set(found) <= {token for token, *_ in said}, "a message that nobody sent"
    for token, content, whom in said:
        told = [mark[2:] for mark in marks if mark[0] == "reported" and mark[1] == token]
        asked = [mark[2:] for mark in marks if mark[0] == "report" and mark[1] == token]
        bounce = token in bounced or any(mark[:2] == ("report", b"bounce of " + token) for mark in marks)
        here = found.get(token)
        if here is not None:
            assert here[0] == content, f"{token} is not what was sent"
        if here is None and ("accepted", token) not in marks:
            continue
        waiting, failures = here[1:] if here is not None else (frozenset(), 0)
        for one in whom:
            ended = {who for who, result in told if result is not LATER.result}
            ending = {who for who, result in asked if result is not LATER.result}
            assert not (one in ended and one in waiting), f"{token} comes twice for {one}"
            assert one in ending or one in waiting, f"{token} for {one} is lost"
        if any(result is NEVER.result for _, result in told):
            assert failures or bounce, f"{token}: its sender never hears that it failed"


def _found(state: State, store: DurableStore):
    """What is in the queue: by token its content, who waits, failures not told; and whose bounces."""
    found, bounced = {}, set()
    for item in store.listing(0, 1000):
        content = store.show(item.message.id)[1]
        if content is None:
            content = (state.bodies / str(item.message.id)).read_bytes()
            assert len(content) == item.message.size, "a body file of another length"
        token = TOKEN.search(content)[0]
        if item.message.sender != SENDER:
            bounced.add(token)
            continue
        assert token not in found, f"{token} is there twice"
        waiting = {public(one) for delivery in item.deliveries for one in recipients(delivery.recipients)[0]}
        found[token] = content.partition(b"\n")[2], waiting, item.failures
    return found, bounced
