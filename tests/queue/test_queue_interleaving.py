"""Arrivals, reports, a postmaster's hand, reads and commits in any order the writer allows: in the end everybody has his mail."""

import random
from collections import deque

import pytest
from queue_parts import DONE, LATER, NEVER, Desk, FakeWorker, make_state

from appliance import message_id
from appliance.envelope import Envelope
from appliance.queue.commit import write
from appliance.queue.durable import DurableStore
from appliance.queue.store import LOCAL, REMOTE

LIVES = 24
STEPS = 200  # of each
TO = (b"a@example.org", b"b@example.org", b"c@one.example", b"d@two.example", b"e@one.example")


class Interleaved(Desk):
    """Jobs of the writer's thread in order, one commit at a time, results in the order of the jobs; else as chance has it."""

    def __init__(self, state, store, chance):
        self.chance = chance
        self.jobs, self.results, self.pending, self.writing = deque(), deque(), [], False
        super().__init__(state, store)

    def submit(self, item):
        self.pending.append(item)

    def read(self, ask, tell):
        def job():
            found = ask()
            self.results.append(lambda: tell(found, None))

        self.jobs.append(job)

    def begin(self):
        items, self.pending, self.writing = self.pending, [], True
        in_loop = not self.jobs and not self.results and self.chance.random() < 0.7

        def job():
            assert write(self.store, items) is None
            if in_loop:
                self.told(items)
            else:
                self.results.append(lambda: self.told(items))

        if in_loop:
            job()
        else:
            self.jobs.append(job)

    def told(self, items):
        self.writing = False
        for item in items:
            item.done(None)
        self.service.settled()

    def step(self):
        """One thing of those that can be done now; whether there was one."""
        can = [lambda queue=queue: queue.popleft()() for queue in (self.jobs, self.results) if queue]
        if self.pending and not self.writing:
            can.append(self.begin)
        if can:
            self.chance.choice(can)()
        return bool(can)

    def run(self):
        while self.step():
            pass


class Hands(FakeWorker):
    """It reports in any order, and the machinery does not wait for it."""

    def answer(self, *results):
        """Report something; the message and who needs no other attempt."""
        chance = self.desk.chance
        delivery = self.taken.pop(chance.randrange(len(self.taken)))
        held = self.worker.leased.pop(delivery.id)
        self.worker.credit += 1
        reports = [chance.choice(results) for _ in delivery.recipients]
        self.desk.service.reported(self.channel, held, reports)
        self.channel.dispatch(self.desk.now)
        return {
            (delivery.message, to)
            for to, report in zip(delivery.recipients, reports, strict=True)
            if report is not LATER
        }


class Life:
    """What happens to one queue, and what it promised."""

    def __init__(self, desk, chance):
        self.desk, self.chance = desk, chance
        self.promised, self.ended, self.dropped = set(), set(), set()
        self.workers = [self.worker(channel) for channel in (LOCAL, REMOTE)]

    def worker(self, channel):
        return Hands(self.desk, self.desk.service.channels[channel], self.chance.choice((3, 20, 100)))

    def accept(self):
        to = self.chance.sample(TO, self.chance.choice((1, 1, 2, 3)))
        content = b"\n" + b"x" * self.chance.choice((1, 3000))

        def answer(text):
            assert text[:1] == b"K"
            number = message_id.parse(text[1:].decode())
            self.promised |= {
                (number, b"example.org-" + each if each.endswith(b"@example.org") else each) for each in to
            }

        self.desk.service.accept("smtpd", Envelope(b"bob@three.example", tuple(to)), content, answer)

    def report(self):
        worker = self.chance.choice(self.workers)
        if worker.taken:
            self.ended |= worker.answer(DONE, LATER, LATER, NEVER)

    def leave(self):
        number = self.chance.choice((LOCAL, REMOTE))
        self.desk.service.leave(self.workers[number].channel, self.workers[number].worker)
        self.workers[number] = self.worker(number)

    def by_hand(self):
        if self.desk.service.messages:
            number = self.chance.choice(list(self.desk.service.messages))
            verb = self.chance.choice(("hold", "release", "hold", "release", "retry", "drop"))
            self.dropped |= {number} if verb == "drop" else set()
            self.say(verb, number)

    def say(self, verb, number):
        getattr(self.desk.service.postmaster, verb)(number, lambda _count, error: error and pytest.fail(str(error)))

    def retry(self):
        due, service = self.desk.now, self.desk.service

        def tell(_found, _error):
            for feed in service.feeds:
                feed.expect(due)
                feed.wake()

        self.desk.read(lambda: self.desk.store.bring_forward(0, due, 100_000), tell)

    def wait(self):
        self.desk.advance(self.chance.choice((0.1, 1, 10, 1000)))

    def go(self):
        """Anything, for a while."""
        deeds = (self.accept, self.report, self.leave, self.by_hand, self.retry, self.wait)
        for deed in self.chance.choices(deeds, (20, 30, 3, 15, 4, 6), k=STEPS):
            deed()
            for _ in range(self.chance.choice((0, 0, 1, 2, 9))):
                self.desk.step()

    def end(self):
        """All is released, everybody takes his mail."""
        self.desk.run()
        for number in list(self.desk.service.postmaster.held - self.desk.service.postmaster.dropped.keys()):
            self.say("release", number)
        for _ in range(40):
            self.desk.run()
            while any(worker.taken for worker in self.workers):
                for worker in self.workers:
                    self.ended |= worker.answer(DONE) if worker.taken else set()
                self.desk.run()
            self.retry()
            self.desk.advance(1)


@pytest.mark.parametrize("part", range(4))
def test_whatever_happens_in_whatever_order_everybody_has_his_mail_in_the_end(tmp_path, lines, monkeypatch, part):
    """Or his sender was told; nothing is left on disk or in memory, and nothing is counted that is not there."""
    for seed in range(part, LIVES, 4):
        chance = random.Random(seed)
        for name, sizes in (("HELD", (4, 10, 50)), ("NEAR", (2, 6, 400))):
            monkeypatch.setattr(f"appliance.queue.leases.{name}", chance.choice(sizes))
        store = DurableStore(
            tmp_path / f"{seed}.sqlite", tmp_path / f"{seed}.journal", chance.choice((1 << 14, 1 << 20))
        )
        notices = chance.choice(("reportafter:1\ndelaynotice:1", "reportafter:100\ndelaynotice:50"))
        desk = Interleaved(make_state(tmp_path / str(seed), bounces=notices), store, chance)
        life = Life(desk, chance)
        life.go()
        life.end()
        service = desk.service
        assert [(item, item.deliveries) for item in store.listing(0, 10)] == [], f"life {seed}"
        assert {(number, to) for number, to in life.promised - life.ended if number not in life.dropped} == set(), (
            f"life {seed}"
        )
        assert (service.count, service.messages, store.notices(10)) == (0, {}, []), f"life {seed}"
        assert all(not channel.held and not channel.bytes for channel in service.channels), f"life {seed}"
        desk.stop()
