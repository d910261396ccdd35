"""What senders are told while their mail is in the queue: early enough, once, and never to nobody's profit."""

import json

import pytest
from queue_parts import DONE, LATER, NEVER, Desk, make_state

from appliance import message_id
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import LOCAL, REMOTE, Change, NoticeRow

HOUR = 3600
A, B = b"a@example.org", b"b@example.org"


def events(lines, name):
    return [entry for entry in map(json.loads, lines().splitlines()) if entry["event"] == name]


def contents(desk, lines, event, key):
    """The contents of the notices that the log tells of, in order."""
    return [desk.store.show(message_id.parse(entry[key]))[1] for entry in events(lines, event)]


def bounces(desk, lines):
    return contents(desk, lines, "bounced", "bounce")


@pytest.fixture
def opened(tmp_path, store, lines):
    """A queue with the rules of control/bounces, and again on what is on disk, as after a restart."""
    desks = []

    def opening(bounces="", **control):
        if desks:
            desk = Desk.__new__(Desk)
            desk.__init__(desks[-1].state, store)
            desk.now = desks[-1].now
        else:
            desk = Desk(make_state(tmp_path / "state", bounces=bounces, **control), store)
        desks.append(desk)
        return desk

    yield opening
    for desk in desks:
        desk.service.bodies.close()


def busy(worker, desk, hours, report=LATER):
    """Every attempt of some hours ends so."""
    for _ in range(round(hours * 60)):
        while worker.taken:
            worker.report(report)
        desk.advance(60)


class Hasty(Desk):
    """Timers fire a millisecond early, and the disk takes two."""

    def later(self, delay, call):
        return super().later(delay - 0.001, call)

    def turn(self):
        self.now += 0.002
        super().turn()


def test_a_timer_that_fires_a_moment_early_makes_no_report_late(tmp_path, store, lines):
    """A failure is reported a second after it, not at a look that comes five seconds later."""
    desk = Hasty(make_state(tmp_path / "state", bounces="reportafter:1"), store)
    desk.accept([A, B])
    desk.worker(LOCAL).report(NEVER, LATER)
    desk.advance(1.5)
    desk.service.bodies.close()
    assert len(bounces(desk, lines)) == 1


def test_a_failure_is_reported_while_others_wait(opened, lines):
    """Who does not exist is reported four hours after that was found, though another mailbox is still busy."""
    desk = opened()
    worker = desk.worker(LOCAL)
    desk.accept([A, B])
    worker.report(NEVER, LATER)
    busy(worker, desk, 3.9)
    assert bounces(desk, lines) == []
    busy(worker, desk, 0.2)
    (bounce,) = bounces(desk, lines)
    assert bounce.count(b"Final-Recipient: rfc822; a@example.org\n") == 1
    assert b"b@example.org" not in bounce
    busy(worker, desk, 24 * 8)
    first, second = bounces(desk, lines)
    assert first == bounce
    assert b"a@example.org" not in second
    assert second.count(b"Final-Recipient: rfc822; b@example.org\n") == 1
    assert [entry["recipient"] for entry in events(lines, "failed")] == ["a@example.org", "b@example.org"]


def test_failures_of_some_hours_share_a_bounce(opened, lines):
    """From the first failure on four hours are waited for more: so there are never many bounces of one message."""
    desk = opened()
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([A, b"x@one.example", b"y@two.example"])
    local.report(NEVER)
    remote.report(NEVER)
    busy(remote, desk, 9)
    (bounce,) = bounces(desk, lines)
    assert bounce.count(b"Action: failed\n") == 2


def test_nothing_is_lost_or_told_twice_by_a_restart(opened, lines):
    """What is to be reported, and that it was, is on disk: a queue that starts again goes on."""
    desk = opened()
    worker = desk.worker(LOCAL)
    desk.accept([A, B])
    worker.report(NEVER, LATER)
    desk.now += 2 * HOUR
    desk = opened()  # what was in memory is gone
    worker = desk.worker(LOCAL)
    busy(worker, desk, 1.9)
    assert bounces(desk, lines) == []
    busy(worker, desk, 0.2)
    assert len(bounces(desk, lines)) == 1
    desk = opened()
    worker = desk.worker(LOCAL)
    desk.advance(HOUR)
    worker.report(DONE)
    assert len(bounces(desk, lines)) == 1
    assert desk.store.notices(10) == []
    assert desk.store.count() == 1  # the bounce


def test_a_failure_that_comes_while_a_bounce_is_written_is_in_the_next(opened, lines):
    """The bounce reports what had failed when it was made, whatever is committed with it."""
    desk = opened("reportafter:100\ndelaynotice:0")
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([A, b"x@one.example", b"y@two.example"])
    local.report(NEVER)
    desk.now += 150
    desk.service.notices._fire()
    read = desk._reads.pop()
    read[1](read[0](), None)  # the bounce is submitted, not committed
    delivery = remote.taken.pop(0)  # and a report with it
    desk.service.reported(remote.channel, remote.worker.leased.pop(delivery.id), (NEVER,))
    desk.run()
    remote.report(DONE)
    first, second = bounces(desk, lines)
    assert (first.count(b"Action: failed\n"), second.count(b"Action: failed\n")) == (1, 1)
    assert b"x@one.example" in second
    assert len(events(lines, "finished")) == 1


def test_a_look_before_the_commit_overlooks_nothing(opened, lines):
    """Whoever looks for what is to be reported, just before it is durable, is sent again when it is due."""
    desk = opened("delaynotice:0")
    worker = desk.worker(LOCAL)
    desk.accept([A, B])
    desk.advance(60)
    delivery = worker.taken.pop(0)
    desk.service.reported(worker.channel, worker.worker.leased.pop(delivery.id), (NEVER, LATER))
    desk.service.notices._fire()
    desk.run()  # reads before it commits
    desk.advance(4.1 * HOUR)
    assert len(bounces(desk, lines)) == 1


def test_trap_20_one_bounce_at_the_end_if_that_is_wanted(opened, lines):
    """`report_after: end` is qmail's way: one bounce a message, when nobody is left to try, in qmail's format."""
    desk = opened("format:qmail\nreportafter:0\ndelaynotice:0")
    worker = desk.worker(LOCAL)
    desk.accept([A, B])
    worker.report(NEVER, LATER)
    busy(worker, desk, 24 * 8)
    (bounce,) = bounces(desk, lines)
    assert b"Subject: failure notice\n\nHi. This is the" in bounce
    assert b"\n\n<a@example.org>:\nno such user\n\n<b@example.org>:\nmailbox busy\nI'm not going" in bounce
    assert bounce.endswith(b"\n--- Below this line is a copy of the message.\n\n" + bounce.split(b"message.\n\n", 1)[1])
    assert b"Message-ID" not in bounce
    assert desk.store.count() == 1


@pytest.mark.parametrize(
    ("size", "whole"), [(b"131072", True), (b"60", False), (b"0", False)], ids=["whole", "too large", "never"]
)
def test_how_much_goes_back(opened, lines, size, whole):
    """A message beyond return_size goes back as its header."""
    desk = opened(f"returnsize:{size.decode()}")
    worker = desk.worker(LOCAL)
    desk.accept([A])
    worker.report(NEVER)
    (bounce,) = bounces(desk, lines)
    assert (b"Content-Type: message/rfc822\n" in bounce) == whole
    assert (b"Content-Type: text/rfc822-headers\n" in bounce) != whole
    assert (b"\n\ntext\n" in bounce) == whole


# -- delays -----------------------------------------------------------------------------


def test_a_delay_is_told_once(opened, lines):
    """After four hours the sender hears who still waits, and not again: not after a restart, not for another domain."""
    desk = opened()
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([A, b"x@one.example", b"y@two.example"])
    for hours in (3.9, 2):
        for _ in range(round(hours * 60)):
            for worker in (local, remote):
                while worker.taken:
                    worker.report(*[LATER] * len(worker.taken[0].recipients))
            desk.advance(60)
        if hours == 3.9:
            assert events(lines, "notified") == []
    (notice,) = contents(desk, lines, "notified", "notice")
    assert notice.count(b"Action: delayed\n") == 3
    assert b"Will-Retry-Until: 22 Jan 2027 08:00:00 -0000\n" in notice
    assert b"Subject: delivery is late\n" in notice
    assert events(lines, "notified")[0]["to"] == "bob@elsewhere.example"
    desk = opened()
    busy(desk.worker(LOCAL), desk, 24)
    assert len(events(lines, "notified")) == 1


@pytest.mark.parametrize(
    ("sender", "header"),
    [
        (b"", b""),
        (b"#@[]", b""),
        (b"list-return-@lists.example-@[]", b""),  # VERP: its bounces unsubscribe people
        (b"owner@lists.example", b"List-Id: <x.lists.example>\n"),
        (b"owner@lists.example", b"PRECEDENCE:  bulk\n"),
    ],
)
def test_who_is_never_told_of_a_delay(opened, lines, sender, header):
    """Not bounces, which have no sender, and not lists, whose programs would take it for a failure."""
    desk = opened()
    desk.accept([A], sender=sender, content=b"Subject: x\n" + header + b"\nList-Id: in the text\n")
    busy(desk.worker(LOCAL), desk, 24)
    assert events(lines, "notified") == []


def test_a_word_in_the_text_is_no_list(opened, lines):
    """Only the header says that a message is from a list."""
    desk = opened()
    desk.accept([A], content=b"Subject: x\n\nList-Id: in the text\n")
    busy(desk.worker(LOCAL), desk, 5)
    assert len(events(lines, "notified")) == 1


def test_never(opened, lines):
    """`delay_notice: never` is obeyed."""
    desk = opened("delaynotice:0")
    desk.accept([A])
    busy(desk.worker(LOCAL), desk, 24)
    assert events(lines, "notified") == []


# -- many -------------------------------------------------------------------------------


def test_a_thousand_failures_are_one_bounce(opened, lines):
    """A message to a thousand people who do not exist becomes one bounce below a megabyte."""
    desk = opened()
    worker = desk.worker(REMOTE)
    desk.accept([b"u%d@one.example" % n for n in range(1000)])
    said = NEVER._replace(
        text=b"192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 " + b"x" * 5000 + b"\n"
    )
    while worker.taken[0].sender:
        worker.report(*[said] * len(worker.taken[0].recipients))
    bounce = worker.taken[0].content
    assert len(events(lines, "bounced")) == 1
    assert bounce.count(b"Final-Recipient:") == 1000
    assert len(bounce) < 1_000_000


def test_failures_of_an_older_version_are_reported(tmp_path, lines):
    """A queue that an older version left behind has failures without a time: they are reported at once."""
    state = make_state(tmp_path / "state")
    store = SqliteStore(tmp_path / "q")
    desk = Desk(state, store)
    worker = desk.worker(LOCAL)
    desk.accept([A, B])
    worker.report(NEVER, LATER)
    store._connection.execute("DROP TABLE notice; PRAGMA user_version=3")
    desk.stop()
    again = Desk(state, SqliteStore(tmp_path / "q"))
    again.advance(10)
    assert len(bounces(again, lines)) == 1
    again.stop()


def test_a_notice_that_is_committed_while_the_next_attempt_is_read_costs_nobody_his_mail(opened):
    """The message was in memory for its notice only, and has left it when the others that are due have been read."""
    desk = opened("delaynotice:10")
    worker = desk.worker(LOCAL)
    desk.accept([A])
    desk.accept([B])
    worker.report(LATER)
    desk.advance(20)
    (late,) = worker.worker.leased.values()
    worker.worker.leased.clear()
    worker.taken.clear()
    worker.worker.credit += 1
    desk.service.reported(worker.channel, late, [LATER])
    desk.turn()  # it is put off, and its notice is due
    desk.store.bring_forward(0, desk.now, 100)
    desk.service.feeds[LOCAL].expect(desk.now)
    desk.service.feeds[LOCAL].wake()
    desk.turn()  # the notice is written, what is due was found
    found, tell = desk.looking()
    desk.run()
    tell(found, None)
    desk.run()
    assert sorted(delivery.recipients[0] for delivery in worker.taken) == [b"example.org-" + A, b"example.org-" + B]
    while worker.taken:
        worker.report(DONE)
    assert [item.message.sender for item in desk.store.listing(0, 10)] == [b""]  # the notice


def test_notices_about_messages_that_are_gone_keep_nobody_waiting(opened, lines):
    """A damaged database has more of them than are looked at together; they go, and who waits behind them is told."""
    desk = opened()
    worker = desk.worker(LOCAL)
    desk.accept([A, B])
    worker.report(NEVER, LATER)
    change = Change()
    change.notices = [NoticeRow(number, desk.now, delayed=False) for number in range(1, 120)]
    desk.store.commit([change])
    busy(worker, desk, 4.1)
    assert len(bounces(desk, lines)) == 1
    assert desk.store.notices(1) == []


def test_a_bounce_that_can_t_be_written_is_a_plain_one(opened, lines, monkeypatch):
    """A defect of ours keeps nobody from being told, and no message in the queue."""
    desk = opened()
    worker = desk.worker(LOCAL)
    monkeypatch.setattr(desk.service.bounces, "_write", lambda notice: notice.nothing)
    desk.accept([A])
    worker.report(NEVER)
    (bounce,) = bounces(desk, lines)
    assert b"a@example.org" in bounce
    assert b"Subject: x" not in bounce
    assert desk.store.count() == desk.service.count == 1
