"""Messages held and dropped by hand while reports, reads and commits are under way: the last word counts."""

import pytest
from queue_parts import LATER, NEVER, Desk, make_state

from appliance import message_id
from appliance.queue.memory import MemoryStore
from appliance.queue.store import LOCAL, Unavailable

A, B = b"a@example.org", b"b@elsewhere.example"


class Disk(MemoryStore):
    """It fails when it is told to."""

    broken = False

    def commit(self, changes):
        if self.broken:
            raise Unavailable("no space")
        super().commit(changes)

    def waiting(self, message):
        if self.broken:
            raise Unavailable("can't be read")
        return super().waiting(message)


class Hands(Desk):
    """As the writer: what must be kept is tried again, and reads tell their failure."""

    def run(self):
        if not self.store.broken:
            super().run()
            return
        reads, self._reads = self._reads, []
        for ask, tell in reads:
            try:
                tell(ask(), None)
            except Unavailable as failure:
                tell(None, failure)
        for item in [item for item in self._items if not item.keep]:
            self._items.remove(item)
            item.done(Unavailable("no space"))


@pytest.fixture
def desk(tmp_path, lines):  # the log goes to a file
    made = Hands(make_state(tmp_path / "state"), Disk())
    yield made
    made.service.bodies.close()


def accepted(desk, *recipients):
    """A message's id."""
    desk.accept(recipients)
    return message_id.parse(desk.answers[-1][1:].decode())


def told():
    """What is told, and a function that is told it."""
    answers = []
    return answers, lambda count, error: answers.append((count, error))


def begin_report(desk, worker, *reports):
    """A worker reports; the commit is still to come."""
    held = worker.worker.leased.pop(worker.taken.pop(0).id)
    worker.worker.credit += 1
    desk.service.reported(worker.channel, held, reports)


def test_a_message_dropped_while_its_report_is_written_is_gone(desk):
    """Its deferral was asked for before, and comes to disk after the drop has looked there."""
    worker = desk.worker(LOCAL)
    message = accepted(desk, A)
    begin_report(desk, worker, LATER)
    desk.service.postmaster.drop(message, told()[1])
    desk.run()
    assert desk.store.count() == desk.service.count == 0
    desk.advance(100_000)
    assert worker.taken == []


def test_a_message_dropped_while_its_end_is_written_ends_once(desk):
    """The count of messages says so."""
    worker = desk.worker(LOCAL)
    message = accepted(desk, A)
    begin_report(desk, worker, NEVER)
    desk.service.postmaster.drop(message, told()[1])
    desk.run()
    assert desk.service.count == desk.store.count() == 1  # the bounce


def test_a_message_dropped_twice_at_the_same_time_ends_once(desk):
    """The second one finds nothing left to do."""
    worker = desk.worker(LOCAL)
    message = accepted(desk, A, B)
    answers, tell = told()
    desk.service.postmaster.drop(message, tell)
    desk.service.postmaster.drop(message, tell)
    desk.run()
    worker.report(LATER)
    assert desk.service.count == desk.store.count() == 0
    assert [count for count, _ in answers] == [1, 0]


def test_a_message_held_while_its_report_is_written_is_held_and_released(desk):
    """Neither tried again before the release, nor forgotten after it."""
    worker = desk.worker(LOCAL)
    message = accepted(desk, A)
    begin_report(desk, worker, LATER)
    desk.service.postmaster.hold(message, told()[1])
    desk.run()
    desk.advance(100_000)
    assert worker.taken == []
    assert [row.due for row in desk.store.waiting(message)] == [float("inf")]
    desk.service.postmaster.release(message, told()[1])
    desk.run()
    desk.advance(1)
    assert len(worker.taken) == 1


def test_a_drop_that_is_forgotten_leaves_another_in_force(desk):
    """The second one may be under way: until it has ended nothing of the message begins."""
    message = accepted(desk, A)
    postmaster = desk.service.postmaster
    postmaster.drop(message, told()[1])
    desk.run()
    desk.advance(59)
    postmaster.drop(message, told()[1])
    desk.advance(2)
    assert postmaster.barred(message)
    desk.advance(100)
    assert not postmaster.barred(message)


@pytest.mark.parametrize("last", ["release", "drop"])
def test_what_is_said_while_the_report_of_a_held_message_is_written_counts(desk, last):
    """The report puts its delivery off for ever; the release, or the drop, has looked at the disk before."""
    worker = desk.worker(LOCAL)
    message = accepted(desk, A)
    desk.service.postmaster.hold(message, told()[1])
    desk.run()
    begin_report(desk, worker, LATER)
    getattr(desk.service.postmaster, last)(message, told()[1])
    desk.run()
    desk.advance(10)
    assert len(worker.taken) == desk.store.count() == desk.service.count == (last == "release")


@pytest.mark.parametrize("between", ["release", "retry"])
def test_of_hold_and_release_at_the_same_time_the_last_counts(desk, between):
    """However their looks at the disk and their commits interleave."""
    message = accepted(desk, A)
    postmaster = desk.service.postmaster
    postmaster.hold(message, told()[1])
    getattr(postmaster, between)(message, told()[1])
    desk.run()
    worker = desk.worker(LOCAL)
    desk.advance(10)
    assert len(worker.taken) == (between == "release")
    postmaster.release(message, told()[1])
    desk.run()
    desk.advance(10)
    assert len(worker.taken) == 1


@pytest.mark.parametrize("verb", ["hold", "drop"])
def test_what_the_disk_refuses_is_done_when_it_works_again(desk, verb):
    """Memory and disk say the same in the end, and nothing waits for ever in between."""
    message = accepted(desk, A)
    answers, tell = told()
    desk.store.broken = True
    getattr(desk.service.postmaster, verb)(message, tell)
    desk.run()
    desk.advance(20)
    assert answers == []
    desk.store.broken = False
    desk.advance(20)
    assert answers == [(1, None)]
    worker = desk.worker(LOCAL)
    desk.advance(100)
    assert worker.taken == []
    if verb == "hold":
        desk.service.postmaster.release(message, tell)
        desk.run()
        desk.advance(1)
        assert len(worker.taken) == 1
    else:
        assert desk.store.count() == desk.service.count == 0
