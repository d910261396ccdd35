"""The journal in front of the database: what is in it counts, what is torn, old or forged does not."""

import errno
import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.queue import journal
from appliance.queue.durable import DurableStore
from appliance.queue.journal import PAGE, Journal
from appliance.queue.pending import Pending
from appliance.queue.record import Damaged, decode, encode
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import NEVER, Change, DeliveryRow, MessageRow, NoticeRow, Refused, Unavailable

CYCLE = b"cycle--1"


def accept(number, content=b"text", destination=b""):
    row = DeliveryRow(number + 1, number, bool(destination), destination, 1.5, 0, b"Ta@b\0", b"")
    return Change((MessageRow(number, b"s@x", len(content or b""), 1, content),), (row,), last=number + 1)


def end(number):
    change = Change(done=(number + 1,), finished=(number,))
    change.forgotten = (number,)
    return change


def defer(number, report=b"later"):
    change = Change()
    change.updates = (DeliveryRow(number + 1, number, 0, b"", 99.0, 1, b"Ta@b\0", report),)
    change.failures = [(number, b"paragraph")]
    return change


@pytest.fixture
def opened(tmp_path):
    """Opens the store, again after what came before is given up as a kill -9 gives it up."""
    stores = []

    def opening():
        if stores:
            abandon(stores[-1])
        stores.append(DurableStore(tmp_path / "q", tmp_path / "journal", size=64 * 1024))
        return stores[-1]

    yield opening
    abandon(stores[-1])


def abandon(store):
    store._journal.close()
    store._database.close()
    store._journal.close = store._database.close = lambda: None


def ids(store):
    return [item.message.id for item in store.listing(0, 1000)]


def in_database(path):
    """What is in the database alone."""
    database = SqliteStore(path)
    found = [item.message.id for item in database.listing(0, 1000)]
    database.close()
    return found


# -- records ----------------------------------------------------------------------------


def test_record_keeps_every_field():
    """What is read back from the journal is what was written, bodies in files and empty texts included."""
    changes = [accept(10), accept(20, None, b"mx.example"), accept(30, b""), defer(10, b"451 \0 later"), end(40)]
    changes[3].notices = [NoticeRow(10, 77.5, delayed=False), NoticeRow(20, NEVER, delayed=True)]
    (found,) = decode(b"".join(encode(changes)))
    assert found.notices == changes[3].notices
    assert found.messages == [row for change in changes for row in change.messages]
    assert found.deliveries == [row for change in changes for row in change.deliveries]
    assert found.updates == list(changes[3].updates)
    assert found.failures == [(10, b"paragraph")]
    assert (found.done, found.finished, found.forgotten, found.last) == ([41], [40], [40], 31)


@pytest.mark.parametrize("data", [b"?", b"M123", b"".join(encode([accept(10)]))[:-3], b"Z" + bytes(8)])
def test_record_of_another_version_is_damaged(data):
    """Bytes that are no record of ours are refused, not guessed at."""
    with pytest.raises(Damaged, match="can't be read"):
        decode(data)


def told(number):
    """The failures of a message that waits on are in a bounce now."""
    change = Change()
    change.forgotten, change.notices = (number,), (NoticeRow(number, NEVER, delayed=False),)
    return change


def test_a_failure_after_a_report_outlives_it(opened):
    """What fails after a message's failures were reported is not forgotten with them, in one record or folded together."""
    store = opened()
    store.commit([accept(10), defer(10)])
    store._fold()
    store.commit([told(10), defer(10, b"again")])
    assert opened().load([10])[0].failures == [b"paragraph"]
    store = opened()
    store.commit([told(10), defer(10), told(10)])
    assert opened().load([10])[0].failures == []


def test_message_that_comes_and_goes_cancels_out():
    """Mail that is delivered before the database is written leaves nothing to write there."""
    pending = Pending()
    for change in (accept(10), accept(20), defer(20), end(10)):
        pending.add(change)
    _, total = pending.sum()
    assert [row.id for row in total.messages] == [20]
    assert [(row.id, row.due, row.attempts) for row in total.deliveries] == [(21, 99.0, 1)]
    assert (total.done, total.finished, total.last) == ([], [], 21)
    pending.add(end(20))
    assert not pending


def test_end_of_a_message_in_the_database_is_kept():
    """The end of a message that the database knows is what the database must be told."""
    pending = Pending()
    pending.add(defer(10))
    pending.add(end(10))
    before, total = pending.sum()
    assert (total.updates, total.failures) == ([], [])
    assert (list(total.done), list(total.finished), list(before.forgotten)) == ([11], [10], [10])


# -- the file ---------------------------------------------------------------------------


def test_torn_last_record_is_left_out(tmp_path):
    """A write that the power cut tore is as if it had never been; all before it is there."""
    file = Journal(tmp_path / "j", 64 * 1024)
    for text in (b"first" * 1000, b"second" * 1000):
        file.append(CYCLE, [text])
    with open(tmp_path / "j", "r+b") as raw:
        raw.seek(2 * PAGE + 5000)
        raw.write(b"?")
    assert [payload[:6] for payload in file.read(CYCLE)] == [b"firstf"]
    file.close()


def test_records_of_earlier_cycles_are_void(tmp_path):
    """What was folded into the database is never applied again, though it still lies behind the new records."""
    file = Journal(tmp_path / "j", 64 * 1024)
    for text in (b"old 1", b"old 2", b"old 3"):
        file.append(CYCLE, [text])
    file.begin()
    file.append(b"cycle--2", [b"new"])
    assert list(file.read(b"cycle--2")) == [b"new"]
    file.close()


def test_mail_that_looks_like_a_record_is_no_record(opened):
    """A sender who puts the bytes of a record into a message gains nothing: the cycle's number is secret."""
    forged = b"".join(encode([accept(500)]))
    head = journal._HEAD.pack(CYCLE, len(forged), journal.zlib.crc32(forged))
    store = opened()
    first = accept(10, bytes(PAGE))
    start = PAGE - (journal._HEAD.size + sum(map(len, encode([first]))) - PAGE) % PAGE
    store.commit([accept(10, bytes(start) + (head + forged).ljust(PAGE, b"\0") * 3)])
    store._fold()
    store.commit([accept(20, b"short")])
    assert ids(opened()) == [10, 20]


def test_synced_record_shares_no_page_with_the_next(tmp_path):
    """Each record begins on a page of its own, so a torn write harms nothing that was synced."""
    file = Journal(tmp_path / "j", 64 * 1024)
    for size in (1, PAGE - 16, PAGE - 15, 3 * PAGE):
        file.append(CYCLE, [bytes(size)])
        assert file.used % PAGE == 0
    assert file.used == 8 * PAGE
    assert not file.fits([bytes(8 * PAGE)])
    assert file.fits([bytes(8 * PAGE - 16)])
    file.close()


# -- the store --------------------------------------------------------------------------


def test_killed_queue_has_what_it_committed(opened, tmp_path):
    """After kill -9 all that was committed is there, although the database had not been told."""
    store = opened()
    store.commit([accept(10), accept(20)])
    store.commit([end(10), defer(20)])
    abandon(store)
    assert in_database(tmp_path / "q") == []
    again = opened()
    assert ids(again) == [20]
    assert again.load([20])[0].failures == [b"paragraph"]
    assert again.last() == 21


def test_killed_queue_has_large_messages_it_committed(tmp_path):
    """A commit of large messages beside small ones, whose pieces are written one by one, is found whole."""
    changes = [accept(10, b"x" * 100_000), accept(20), accept(30, b"y" * 130_000)]
    file = Journal(tmp_path / "journal", 1 << 20)
    file.append(CYCLE, encode(changes))
    file.close()
    (payload,) = Journal(tmp_path / "journal", 1 << 20).read(CYCLE)
    assert [m.content for change in decode(payload) for m in change.messages] == [
        b"x" * 100_000,
        b"text",
        b"y" * 130_000,
    ]


def test_full_journal_is_folded(opened):
    """More mail than the journal holds goes on into the database, and a restart loses none and repeats none."""
    store = opened()
    for number in range(10, 2000, 10):
        store.commit([accept(number, b"x" * 5000)])
        if number % 30:
            store.commit([end(number)])
    kept = list(range(30, 2000, 30))
    store = opened()
    assert ids(store) == kept
    assert ids(opened()) == kept


def test_commit_larger_than_the_journal(opened):
    """A commit that the journal can't hold is the database's, with all that came before it."""
    store = opened()
    store.commit([accept(10)])
    store.commit([accept(number, b"x" * 9000) for number in range(20, 200, 10)])
    store.commit([end(10)])
    assert ids(opened()) == list(range(20, 200, 10))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_disk_that_refuses_the_journal(opened, monkeypatch, error):
    """A commit that fails is told so and is void even if its bytes came to disk; the next one works when the disk does."""
    store = opened()
    store.commit([accept(10)])
    real = os.pwritev

    def broken(*arguments):
        real(*arguments)
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "pwritev", broken)
    with pytest.raises(Unavailable, match="journal"):
        store.commit([accept(20)])
    monkeypatch.undo()
    store.commit([accept(30)])
    store.commit([end(10)])
    assert ids(opened()) == [30]


def test_short_write_is_a_failure(opened, monkeypatch):
    """A record of which the disk took a part is not taken for durable."""
    store = opened()
    monkeypatch.setattr(os, "pwritev", lambda _fd, parts, _offset, _flags: len(parts[0]) - 512)
    with pytest.raises(Unavailable, match="only 3584 bytes"):
        store.commit([accept(10)])
    monkeypatch.undo()
    assert ids(opened()) == []


def test_database_that_fails_leaves_all_in_the_journal(opened, monkeypatch):
    """While the database can't be written, mail is kept in the journal as long as it has room; then it is refused."""
    store = opened()
    real = store._database.commit

    def broken(*_):
        raise Unavailable("no")

    monkeypatch.setattr(store._database, "commit", broken)
    accepted = list(range(10, 90, 10))  # of 8 KiB each, in a journal of 64
    for number in accepted:
        store.commit([accept(number, b"x" * 5000)])
    with pytest.raises(Unavailable):
        store.commit([accept(90)])
    with pytest.raises(Unavailable):
        store.listing(0, 10)
    monkeypatch.setattr(store._database, "commit", real)
    assert ids(opened()) == accepted


def test_queue_on_a_full_disk_starts_without_a_journal(opened, monkeypatch):
    """Where there is no room for the journal the queue starts all the same, so that its mail can leave."""
    write = os.pwrite

    def full(fd, data, position):
        if position + len(data) > os.fstat(fd).st_size:
            raise OSError(errno.ENOSPC, "no space left")
        return write(fd, data, position)

    monkeypatch.setattr(os, "pwrite", full)
    store = opened()
    assert store._journal.size == 0
    store.commit([accept(10), accept(20)])
    store.commit([end(10)])
    assert ids(opened()) == [20]
    monkeypatch.undo()
    store = opened()
    assert store._journal.size == 64 * 1024
    assert ids(store) == [20]


def test_quiet_moment_folds_a_long_journal(opened, tmp_path):
    """The journal is folded when nothing else is to do, so that a load finds it empty."""
    store = opened()
    store.commit([accept(10, b"x" * 20000)])
    assert not store.untidy()
    store.tidy(idle=False)
    store.tidy(idle=True)
    abandon(store)
    assert in_database(tmp_path / "q") == [10]


def test_orderly_end_leaves_all_in_the_database(tmp_path):
    """After an orderly stop the database alone is the queue."""
    store = DurableStore(tmp_path / "q", tmp_path / "journal")
    store.commit([accept(10)])
    store.close()
    assert in_database(tmp_path / "q") == [10]


def test_record_that_cannot_be_read_stops_the_start(opened, tmp_path):
    """A record of another version, whole and of this cycle, is not passed over: the queue does not start without it."""
    store = opened()
    store._journal.append(store._cycle, [b"from the future"])
    abandon(store)
    with pytest.raises(Refused, match="journal can't be read"):
        DurableStore(tmp_path / "q", tmp_path / "journal")


def test_second_opener_does_not_touch_the_journal(opened, tmp_path):
    """Who comes second is refused before the journal is read."""
    store = opened()
    store.commit([accept(10)])
    with pytest.raises(Refused, match="in use"):
        DurableStore(tmp_path / "q", tmp_path / "journal")
    assert ids(store) == [10]


def test_database_without_a_journal_is_taken_over(opened, tmp_path):
    """A queue of the version before, which had no journal, goes on where it was."""
    old = SqliteStore(tmp_path / "q")
    old._connection.execute("DROP TABLE journal; PRAGMA user_version=1")
    old.commit([accept(10)])
    old.close()
    assert ids(opened()) == [10]


@given(
    st.lists(
        st.sampled_from([b"M", b"D", b"U", b"F", b"G", b"X", b"Y", b"L", b"N", b"\xff" * 4, bytes(8), b"\x01"]),
        max_size=40,
    )
)
def test_whatever_bytes_a_record_has_it_is_read_to_its_end_or_refused(pieces):
    """No length in a record leads back, or on for ever."""
    with suppress(Damaged):
        decode(b"".join(pieces))
