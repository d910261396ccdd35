"""A queue without sockets and without waiting: its clock is a number, its timers a heap."""

import heapq
from itertools import count

from appliance import lease, netstring
from appliance.control import Control
from appliance.envelope import Envelope
from appliance.errors import Result
from appliance.queue.body import Bodies
from appliance.queue.commit import write
from appliance.queue.held import Worker
from appliance.queue.service import Service
from appliance.state import State

DONE = lease.Report(Result.DONE, b"done")
LATER = lease.Report(Result.TEMPORARY, b"mailbox busy")
NEVER = lease.Report(Result.PERMANENT, b"no such user")
START = 1_800_000_000.0


def make_state(root, **control):
    """A state folder with a generation; keyword arguments are control files."""
    state = State(root)
    files = {"me": "mx.example.org", "virtualdomains": "example.org:example.org", **control}
    folder = state.generations / "first" / "control"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")
    if not state.generation.is_symlink():
        state.generation.symlink_to("first")
    state.bodies.mkdir(parents=True)
    return state


class Timer:
    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class Desk:
    """The service with a store; commits and reads happen when `run` says so."""

    def __init__(self, state, store, now=START):
        self.now = now
        self.store, self.state = store, state
        self._timers, self._order = [], count()
        self._items, self._reads = [], []
        self.answers = []
        self.service = Service(store, Control(state), Bodies(state.bodies), lambda: self.now, self.later)
        self.service.connect(self)
        self.run()

    # what the service needs of a writer and of a loop
    def submit(self, item):
        self._items.append(item)

    def read(self, ask, tell):
        self._reads.append((ask, tell))

    def later(self, delay, call):
        timer = Timer()
        heapq.heappush(self._timers, (self.now + delay, next(self._order), timer, call))
        return timer

    def run(self):
        """Do all that can be done now."""
        while self._items or self._reads:
            self.turn()

    def turn(self):
        """What was read is told, and what was asked for is committed; not what that brings."""
        items, self._items = self._items, []
        reads, self._reads = self._reads, []
        for ask, tell in reads:
            tell(ask(), None)
        if items:
            errors = write(self.store, items) or [None] * len(items)
            for item, error in zip(items, errors, strict=True):
                item.done(error)
            self.service.settled()

    def looking(self):
        """What is being read just now: its answer, which waits, and who is told."""
        ((ask, tell),) = self._reads
        self._reads = []
        return ask(), tell

    def advance(self, seconds):
        """Let time pass, timer by timer."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer, call = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            if not timer.cancelled:
                call()
                self.run()
        self.now = end
        self.run()

    # what its neighbours do
    def accept(self, recipients, sender=b"bob@elsewhere.example", content=b"Subject: x\n\ntext\n", role="smtpd"):
        self.service.accept(role, Envelope(sender, tuple(recipients)), content, self.answers.append)
        self.run()

    def worker(self, channel, credit=100):
        return FakeWorker(self, self.service.channels[channel], credit)

    def stop(self):
        self.service.bodies.close()
        self.store.close()


class FakeWorker:
    """Takes deliveries; answers each as `behave` says, or holds it if that is None."""

    def __init__(self, desk, channel, credit):
        self.desk, self.channel = desk, channel
        self.worker = Worker(self._take)
        self.worker.credit = credit
        self.taken = []
        channel.workers.append(self.worker)
        desk.service.dispatch()
        desk.run()

    def _take(self, frames):
        self.taken += map(lease.decode_delivery, netstring.Decoder(lease.FRAME).feed(b"".join(frames)))

    def report(self, *reports):
        """Report the oldest delivery in hand; return it."""
        delivery = self.taken.pop(0)
        held = self.worker.leased.pop(delivery.id)
        self.worker.credit += 1
        self.desk.service.reported(self.channel, held, reports)
        self.desk.run()
        return delivery

    def leave(self):
        self.desk.service.leave(self.channel, self.worker)
        self.desk.run()
