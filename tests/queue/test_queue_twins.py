"""Whatever is done to them, the stores on disk and the store in memory say the same."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from appliance.queue.durable import DurableStore
from appliance.queue.memory import MemoryStore
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import NEVER, REMOTE, Change, DeliveryRow, MessageRow, NoticeRow, records

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no disk is asked to keep anything here
DESTINATIONS = [b"", b"a.example", b"b.example"]
DUES = st.integers(0, 50).map(float)


class Twins(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.disk = self.opened()
        self.memory = MemoryStore()
        self.last = 0

    def opened(self):
        folder = Path(self.folder.name)
        return DurableStore(folder / "q", folder / "journal", size=32 * 1024)

    def both(self, *changes):
        for store in (self.disk, self.memory):
            store.commit(changes)

    def rows(self):
        return [d for item in self.memory.listing(0, 10_000) for d in item.deliveries]

    @rule(ways=st.lists(st.sampled_from(DESTINATIONS), min_size=1, max_size=10), due=DUES, large=st.booleans())
    def accept(self, ways, due, large):
        number = self.last + 3
        self.last = number + len(ways)
        deliveries = [
            DeliveryRow(number + n, number, int(bool(way)), way, due, 0, records([b"x@y"]), b"")
            for n, way in enumerate(ways, 1)
        ]
        row = MessageRow(number, b"s", 5, len(ways), None if large else b"hello")
        self.both(Change((row,), deliveries, last=self.last))

    @rule(data=st.data(), due=DUES)
    def defer(self, data, due):
        if rows := self.rows():
            row = data.draw(st.sampled_from(rows))
            change = Change()
            change.updates = (row._replace(due=due, attempts=row.attempts + 1, report=b"later"),)
            change.failures = [(row.message, b"f%d" % row.id)]
            self.both(change)

    @rule(data=st.data(), due=DUES, delayed=st.booleans(), later=st.booleans())
    def tell(self, data, due, delayed, later):
        """Failures are reported early, or promised; perhaps another one comes in the same commit."""
        if rows := self.rows():
            message = data.draw(st.sampled_from(rows)).message
            promised, told, more = Change(), Change(), Change()
            promised.failures, promised.notices = [(message, b"p")], [NoticeRow(message, due, delayed)]
            told.forgotten, told.notices = (message,), [NoticeRow(message, NEVER, delayed)]
            more.failures = [(message, b"more")]
            self.both(*data.draw(st.sampled_from([(promised,), (told,), (promised, told), (told, promised)])))
            if later:
                self.both(told, more)

    @rule(due=DUES, limit=st.integers(1, 9))
    def hurry(self, due, limit):
        """What would be tried later is tried then."""
        after = 0
        while True:
            (after, moved), other = (
                self.disk.bring_forward(after, due, limit),
                self.memory.bring_forward(after, due, limit),
            )
            assert (after, moved) == other
            if not after:
                return

    @rule(data=st.data())
    def end(self, data):
        if rows := self.rows():
            row = data.draw(st.sampled_from(rows))
            left = [r for r in rows if r.message == row.message and r.id != row.id]
            change = Change(done=(row.id,), finished=() if left else (row.message,))
            change.forgotten = change.finished
            change.notices = [NoticeRow(number, NEVER, delayed=False) for number in change.finished]
            self.both(change)

    @rule()
    def reopen(self):
        self.disk.close()
        self.disk = self.opened()

    @rule()
    def die(self):
        """As after kill -9: nothing is folded, and the next one finds what is on disk."""
        self.disk._journal.close()
        self.disk._database.close()
        self.disk = self.opened()

    @rule(idle=st.booleans())
    def tidy(self, idle):
        self.disk.tidy(idle)

    @rule(channel=st.sampled_from((0, 1)), limit=st.integers(1, 9))
    def look(self, channel, limit):
        """What is due is found page by page, in order, without a fold."""
        found = []
        for store in (self.disk, self.memory):
            after, more, rows = (10.0, 5), True, []
            while more:
                page, after, more = store.due(channel, after, 40.0, limit)
                assert len(page) <= limit
                rows += page
            found.append(rows)
            following = store.next_due(channel, 40.0)
            assert following is None or following > 40.0
        assert found[0] == found[1]
        assert self.disk.notices(limit) == self.memory.notices(limit)
        if rows := self.rows():
            assert self.disk.waiting(rows[0].message) == self.memory.waiting(rows[0].message)
        first = self.memory.next_due(channel, 40.0)
        assert first is None or self.disk.next_due(channel, 40.0) <= first

    @rule(limit=st.integers(1, 9))
    def read_back(self, limit):
        """What goes to one destination, and the messages of that, without a fold either."""
        for name in DESTINATIONS[1:]:
            rows = self.disk.due_to(name, 40.0, limit)
            assert rows == self.memory.due_to(name, 40.0, limit)
            ids = sorted({row.message for row in rows})
            assert self.disk.load(ids) == self.memory.load(ids)
        assert set(self.memory.destinations(40.0, 2)) <= set(self.disk.destinations(40.0, 2))

    @rule()
    def same(self):
        """A look folds the journal into the database, so it is not taken after each step."""
        a, b = self.disk, self.memory
        assert a.listing(0, 10_000) == b.listing(0, 10_000)
        assert (a.count(), a.last()) == (b.count(), b.last())
        ids = [item.message.id for item in a.listing(0, 10_000)]
        assert a.load(ids) == b.load(ids)
        assert [a.show(i) for i in ids] == [b.show(i) for i in ids]
        for channel in (0, 1):
            assert a.due(channel, (10.0, 5), 40.0, 7) == b.due(channel, (10.0, 5), 40.0, 7)
            assert a.next_due(channel, 20.0) == b.next_due(channel, 20.0)
        assert a.destinations(30.0, 2) == b.destinations(30.0, 2)
        assert a.due_to(b"a.example", 30.0, 5) == b.due_to(b"a.example", 30.0, 5)
        assert all(row.channel == REMOTE for row in a.due_to(b"a.example", 99.0, 99))

    def teardown(self):
        self.same()
        self.disk.close()
        self.folder.cleanup()


class Databases(Twins):
    """Without a journal in front."""

    def opened(self):
        return SqliteStore(Path(self.folder.name) / "q")

    @rule()
    def die(self):
        self.reopen()


Twins.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTwins = Twins.TestCase
Databases.TestCase.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
TestDatabases = Databases.TestCase
