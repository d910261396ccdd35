"""Whatever happens to it, the queue does what the model says, on every store.

QUEUE_MODEL=lives,steps tries more than `make test` does; `make model` sets it.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from queue_model import SENDER, Model, listed, way_of
from queue_parts import DONE, LATER, NEVER, START, Desk, FakeWorker, make_state

from appliance import log, message_id
from appliance.queue import service
from appliance.queue.durable import DurableStore
from appliance.queue.memory import MemoryStore
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import LOCAL, REMOTE

LIVES, STEPS, *FAST = os.environ.get("QUEUE_MODEL", "30,30").split(",")
PEOPLE = [b"alice@example.org", b"carl@example.org", b"x@a.example", b"y@a.example", b"z@b.example"]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no disk is asked to keep anything here
REPORTS = {"K": DONE, "Z": LATER, "D": NEVER}


def abandon(store):
    """As kill -9 leaves it."""
    store._journal.close()
    store._database.keep_log()
    store._database.close()


# a store: how it is opened in a folder, and how it is given up without being closed (None: it is as if it had been closed)
STORES = {
    "memory": (lambda _: MemoryStore(), None),
    "sqlite": (lambda folder: SqliteStore(folder / "queue.sqlite"), SqliteStore.close),
    "durable": (lambda folder: DurableStore(folder / "queue.sqlite", folder / "journal", size=64 * 1024), abandon),
}


@pytest.fixture(autouse=True, scope="module")
def _no_looks():
    """The queue looks for a new configuration every five seconds, and there is none in all these weeks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "WAKE", 1e6)
        yield


class Queue:
    """The service on one store, and a worker of each kind that takes all it is given."""

    def __init__(self, folder, name):
        self.open, self.abandon = STORES[name]
        self.folder = folder / name
        self.state = make_state(self.folder)
        self.store = self.open(self.folder)
        self.begin(START)

    def begin(self, now):
        self.desk = Desk(self.state, self.store, now)
        self.workers = [FakeWorker(self.desk, self.desk.service.channels[channel], 100) for channel in (LOCAL, REMOTE)]
        self.desk.advance(0.0)

    def restart(self, *, orderly):
        self.desk.service.stop_leasing()
        self.desk.service.bodies.close()
        if self.abandon is not None:
            (type(self.store).close if orderly else self.abandon)(self.store)
            self.store = self.open(self.folder)
        self.begin(self.desk.now)

    def leased(self):
        """What workers have: delivery, recipients, sender, and when each began."""
        return [
            (taken.id, taken.recipients, taken.sender, worker.worker.leased[taken.id].started)
            for worker in self.workers
            for taken in worker.taken
        ]


class Lives(RuleBasedStateMachine):
    """The model, and the same queue on each store."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.log = (self.folder / "log").open("wb", buffering=0)
        log.setup("queue", fd=self.log.fileno())
        self.queues = [Queue(self.folder, name) for name in STORES]
        self.model = Model()
        self.known = set()

    @property
    def now(self):
        return self.queues[0].desk.now

    def settle(self):
        """What the queue has done by itself: leases, notices."""
        first, *others = self.queues
        for queue in others:
            assert queue.leased() == first.leased()
        for item in first.store.listing(0, 10_000):
            number = item.message.id
            if number not in self.model.letters and number not in self.known:
                _, content, _ = first.store.show(number)
                ids = [row.id for row in item.deliveries]
                self.model.notice(number, content, list(map(way_of, item.deliveries)), ids, self.now)
        self.known |= self.model.letters.keys()
        leased = {entry[0]: entry for entry in first.leased()}
        for delivery, people, sender, _ in leased.values():
            letter = self.model.letters[self.model.owner(delivery)]
            if not letter.ways[delivery].leased:
                self.model.lease(delivery, self.now)
            assert (letter.ways[delivery].left, letter.sender) == (people, sender)

    @rule(people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=5, unique=True), null=st.booleans())
    def accept(self, people, null):
        sender = b"" if null else SENDER
        for queue in self.queues:
            queue.desk.accept(people, sender)
        names = {queue.desk.answers[-1] for queue in self.queues}
        (name,) = names
        self.model.accept(message_id.parse(name[1:].decode()), sender, tuple(people), self.now)
        self.settle()

    @precondition(lambda self: self.queues[0].leased())
    @rule(data=st.data())
    def report(self, data):
        which = data.draw(st.sampled_from([n for n, worker in enumerate(self.queues[0].workers) if worker.taken]))
        taken = self.queues[0].workers[which].taken[0]
        letters = data.draw(st.text("KZD", min_size=len(taken.recipients), max_size=len(taken.recipients)))
        started = self.queues[0].workers[which].worker.leased[taken.id].started
        self.model.report(taken.id, letters, started, self.now)
        for queue in self.queues:
            assert queue.workers[which].report(*(REPORTS[letter] for letter in letters)).id == taken.id
        self.settle()

    @precondition(lambda self: self.model.letters)
    @rule(data=st.data(), verb=st.sampled_from(["hold", "release", "retry", "drop"]))
    def by_hand(self, data, verb):
        number = data.draw(st.sampled_from(sorted(self.model.letters)))
        told = []
        for queue in self.queues:
            getattr(queue.desk.service.postmaster, verb)(number, lambda count, error: told.append((count, error)))
            queue.desk.run()
        assert len(told) == len(self.queues)
        assert set(told) == {told[0]}
        assert told[0][1] is None
        getattr(self.model, verb)(number, *([self.now] if verb in ("release", "retry") else []))
        self.settle()

    @rule(seconds=st.sampled_from([1, 90, 500, 4000, 15_000, 100_000, 700_000]))
    def wait(self, seconds):
        for queue in self.queues:
            queue.desk.advance(seconds)
        self.settle()

    @rule(orderly=st.booleans())
    def restart(self, orderly):
        self.model.restart()
        for queue in self.queues:
            queue.restart(orderly=orderly)
        self.settle()

    @invariant()
    def all_say_the_same(self):
        """Nobody is missing, nobody is there twice, and it is due when the schedule says."""
        expected = self.model.listing(self.now)
        for queue in self.queues:
            assert listed(queue.store, self.now) == expected
            assert queue.store.count() == queue.desk.service.count == len(expected)
            assert queue.store.last() >= self.model.last
        assert not self.model.owed, "somebody was not told"

    def teardown(self):
        """When nothing fails any more the queue becomes empty."""
        try:
            for _ in range(300):
                for number in list(self.model.letters):
                    for queue in self.queues:
                        queue.desk.service.postmaster.release(number, lambda *_: None)
                        queue.desk.run()
                    self.model.release(number, self.now)
                self.settle()
                if not self.model.letters:
                    break
                for which, worker in enumerate(self.queues[0].workers):
                    while worker.taken:
                        taken = worker.taken[0]
                        self.model.report(taken.id, "K" * len(taken.recipients), self.now, self.now)
                        for queue in self.queues:
                            queue.workers[which].report(*[DONE] * len(taken.recipients))
                        self.settle()
                for queue in self.queues:
                    queue.desk.advance(5000)
            assert not self.model.letters
            self.all_say_the_same()
        finally:
            for queue in self.queues:
                queue.desk.stop()
            log.setup("queue")
            self.log.close()
            shutil.rmtree(self.folder)


Lives.TestCase.settings = settings(
    max_examples=int(LIVES),
    stateful_step_count=int(STEPS),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate] if FAST else [Phase.generate, Phase.shrink],  # a mutant needs no smallest example
)
TestLives = Lives.TestCase
