"""The store's promises, kept by both of its kinds."""

import apsw
import pytest

from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import LAST, LOCAL, REMOTE, Change, DeliveryRow, MessageRow, Refused, recipients, records


def delivery(number, message, due=1.0, channel=LOCAL, destination=b"", people=(b"a@b",)):
    return DeliveryRow(number, message, channel, destination, due, 0, records(people), b"")


def add(store, number, *rows, content=b"text"):
    message = MessageRow(number, b"s@x", len(content or b""), len(rows), content)
    store.commit([Change((message,), rows, last=number + len(rows))])


def test_message_is_there_after_commit(store):
    """What was committed can be listed, shown and loaded."""
    add(store, 10, delivery(11, 10))
    assert store.count() == 1
    assert store.contains(10)
    assert not store.contains(11)
    assert store.listing(0, 10)[0].deliveries == [delivery(11, 10)]
    assert store.show(10)[1] == b"text"
    assert store.load([10, 99])[0] == (MessageRow(10, b"s@x", 4, 1, b"text"), 1, [], None)


def test_due_is_ordered_and_resumes_after_a_row(store):
    """Deliveries are read in the order they fall due, from wherever the last reading ended."""
    for number, due in ((10, 3.0), (20, 1.0), (30, 1.0), (40, 9.0)):
        add(store, number, delivery(number + 1, number, due))
    assert [row.id for row in store.due(LOCAL, (0.0, 0), 5.0, 10).rows] == [21, 31, 11]
    assert [row.id for row in store.due(LOCAL, (1.0, 21), 5.0, 1).rows] == [31]
    assert store.next_due(LOCAL, 5.0) == 9.0
    assert store.next_due(REMOTE, 0.0) is None


def test_due_leaves_out_some_destinations(store, monkeypatch):
    """A look for what is due passes over some destinations, a piece at a time, and says how far it came."""
    monkeypatch.setattr("appliance.queue.sqlite.WINDOW", 7)
    for number in range(10, 310, 10):
        destination = b"b.example" if number in (30, 250) else b"a.example"
        add(store, number, delivery(number + 1, number, 5.0 if number < 200 else number, REMOTE, destination))
    found, after, more = [], (0.0, 0), True
    while more:
        rows, after, more = store.due(REMOTE, after, 400.0, 5, {b"a.example"})
        found += [row.id for row in rows]
    assert found == [31, 251]
    assert after == (400.0, LAST)


def test_due_to_one_destination(store):
    """A destination's deliveries can be read without looking at the others."""
    for number in range(10, 60, 10):
        destination = b"a.example" if number < 30 else b"b.example"
        add(store, number, delivery(number + 1, number, number, REMOTE, destination))
    assert [row.id for row in store.due_to(b"b.example", 40.0, 10)] == [31, 41]


def test_destinations_with_something_due(store):
    """The remote ones are named, each once, unless they are too many; what is due later does not count."""
    for number, name, due in ((10, b"b", 1.0), (20, b"a", 2.0), (30, b"b", 3.0), (40, b"c", 9.0)):
        add(store, number, delivery(number + 1, number, due, REMOTE, name))
    add(store, 50, delivery(51, 50, 1.0, LOCAL, b"local"))
    assert store.count() == 5  # all of it is in the database
    assert store.destinations(5.0, 3) == [b"a", b"b"]
    assert store.destinations(5.0, 2) is None
    assert store.destinations(0.5, 9) == []


def test_report_updates_only_what_an_attempt_changes(store):
    """A deferred delivery keeps its message and gets a new time, its marks and its error."""
    add(store, 10, delivery(11, 10, people=(b"a@b", b"c@d")))
    change = Change()
    change.updates = (delivery(11, 10, 99.0)._replace(attempts=1, recipients=records([b"c@d"], [b"a@b"]), report=b"e"),)
    change.failures = [(10, b"paragraph")]
    store.commit([change])
    row = store.listing(0, 1)[0].deliveries[0]
    assert (row.due, row.attempts, row.report) == (99.0, 1, b"e")
    assert recipients(row.recipients) == ((b"c@d",), (b"a@b",))
    assert store.load([10])[0].failures == [b"paragraph"]


def test_finished_message_leaves_nothing(store):
    """A message that ended, and its failures, are gone."""
    add(store, 10, delivery(11, 10), delivery(12, 10))
    change = Change(done=(11, 12), finished=(10,))
    change.failures, change.forgotten = [(10, b"f")], (10,)
    store.commit([change])
    assert store.count() == 0
    assert store.due(LOCAL, (0.0, 0), 5.0, 10).rows == []
    add(store, 10, delivery(11, 10))
    assert store.load([10])[0].failures == []


def test_commit_is_all_or_nothing(store):
    """If one change of a commit can't be applied, none of that commit is."""
    add(store, 10, delivery(11, 10))
    good = Change((MessageRow(20, b"", 0, 1, b""),), (delivery(21, 20),))
    bad = Change((MessageRow(10, b"", 0, 1, b""),), (delivery(31, 10),))
    with pytest.raises((apsw.ConstraintError, ValueError)):
        store.commit([good, bad])
    assert [item.message.id for item in store.listing(0, 10)] == [10]


def test_many_rows_in_one_commit(store):
    """Batches of any size are written completely (their statements hold 64, 8 and 1 rows)."""
    rows = [(number, delivery(number + 1, number)) for number in range(10, 10 + 2 * 201, 2)]
    store.commit([Change((MessageRow(n, b"", 0, 1, b"x"),), (row,)) for n, row in rows])
    assert store.count() == 201
    store.commit([Change(done=(row.id,), finished=(n,)) for n, row in rows[1:]])
    assert [item.message.id for item in store.listing(0, 999)] == [10]


def test_last_id_outlives_its_message(store):
    """The highest id is remembered although nothing with it is left."""
    add(store, 10, delivery(11, 10))
    store.commit([Change(done=(11,), finished=(10,), last=50)])
    store.commit([Change(last=40)])
    assert store.last() == 50


def test_everything_is_there_after_reopening(tmp_path):
    """A queue that is closed and opened again has lost nothing."""
    path = tmp_path / "q"
    first = SqliteStore(path)
    add(first, 10, delivery(11, 10), content=None)
    before = first.show(10)
    first.close()
    again = SqliteStore(path)
    assert again.show(10) == before
    assert again.last() == 11
    again.close()


def test_database_of_an_older_version_is_counted(tmp_path):
    """A database that does not say how many messages it has is counted once; from then on it says so."""
    path = tmp_path / "q"
    old = SqliteStore(path)
    for number in (10, 20, 30):
        add(old, number, delivery(number + 1, number))
    old._connection.execute("DROP TABLE total; PRAGMA user_version=2")
    old.close()
    store = SqliteStore(path)
    store.commit([Change(done=(11,), finished=(10, 99))])
    assert store.count() == 2
    store.close()
    again = SqliteStore(path)
    assert again.count() == 2
    again.close()


def test_listing_says_what_belongs_to_each_message(store):
    """Deliveries and failures stand with their own message, also where it has several or none."""
    add(store, 10, delivery(11, 10), delivery(12, 10))
    add(store, 20, delivery(21, 20))
    add(store, 30, delivery(31, 30))
    change = Change(done=(11, 21))
    change.failures = [(10, b"one"), (10, b"two"), (30, b"three")]
    store.commit([change])
    assert [([row.id for row in m.deliveries], m.failures) for m in store.listing(0, 2)] == [([12], 2), ([], 0)]
    assert [([row.id for row in m.deliveries], m.failures) for m in store.listing(20, 2)] == [([31], 1)]


def test_second_opener_is_refused(tmp_path):
    """Two programs can't work on one queue: the second is told that it is in use."""
    path = tmp_path / "q"
    first = SqliteStore(path)
    with pytest.raises(Refused, match="in use by another process"):
        SqliteStore(path)
    first.close()


def test_damaged_or_newer_file_is_refused(tmp_path):
    """A file that is not our database, or a later version's, is left alone with a clear message."""
    path = tmp_path / "q"
    path.write_bytes(b"this is not a database at all, but it is long enough to be looked at" * 100)
    with pytest.raises(Refused, match="can't be opened"):
        SqliteStore(path)
    newer = tmp_path / "newer"
    connection = apsw.Connection(str(newer))
    connection.pragma("user_version", 99)
    connection.close()
    with pytest.raises(Refused, match="version 99"):
        SqliteStore(newer)


def test_log_does_not_grow_without_end(tmp_path):
    """The write-ahead log is folded back when it is long, and its room is used again."""
    path = tmp_path / "q"
    store = SqliteStore(path)
    for number in range(10, 8000, 10):
        add(store, number, delivery(number + 1, number), content=b"x" * 60000)
        store.commit([Change(done=(number + 1,), finished=(number,))])
        store.tidy(idle=number % 500 == 0)
    assert (tmp_path / "q-wal").stat().st_size < 30 * 1024 * 1024
    assert path.stat().st_size < 10 * 1024 * 1024
    store.close()
