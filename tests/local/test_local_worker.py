"""The whole program in its own process, with a queue that speaks the real protocols."""

import dataclasses
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_parts import Local, StandIn, files, make_state

from appliance.errors import Result
from appliance.lease import Report
from appliance.state import State

ALICE, BOB = b"example.org-alice@example.org", b"example.org-bob@example.org"
TOP = b"Return-Path: <sender@elsewhere.example>\nDelivered-To: "


@pytest.fixture
def state(tmp_path: Path) -> State:
    return make_state(
        tmp_path,
        {
            "mail/example.org/.qmail-team": b"&alice@example.org\n&x@y.example\n&alice@example.org\n",
            "mail/example.org/.qmail-team-owner": b"&alice@example.org\n",
            "mail/example.org/.qmail-verp": b"x@y.example\n",
            "mail/example.org/.qmail-verp-owner": b"&alice@example.org\n",
            "mail/example.org/.qmail-verp-owner-default": b"&alice@example.org\n",
            "mail/example.org/.qmail-filter": b"./Maildir/\n|/bin/filter\n",
            "mail/example.org/.qmail-both": b"./both/\n&x@y.example\n",
            "mail/example.org/.qmail-void": b"# nowhere\n",
        },
    )


def new(state: State, name: str = "alice") -> list[bytes]:
    return files(state.mail / "example.org" / name / "Maildir/new")


def events(local: Local, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in local.log.read_bytes().rpartition(b"\n")[0].splitlines()]
    return [line for line in lines if line["event"] == event]


def test_a_message_reaches_its_maildir(state: State, queue: StandIn, local: Local) -> None:
    """Byte for byte, below Return-Path and Delivered-To, and the log says where it is."""
    message = queue.message(b"Subject: hi\n\nFrom me\n", ALICE)
    assert queue.deliver(message) == [[Report(Result.DONE, b"did 1+0+0")]]
    assert new(state) == [TOP + ALICE + b"\nSubject: hi\n\nFrom me\n"]
    (line,) = events(local, "delivered")
    assert (line["recipient"], line["to"]) == ("alice@example.org", "maildir mail/example.org/alice")
    assert line["attempt"] == 1


def test_each_recipient_of_a_delivery_has_a_result_of_its_own(state: State, queue: StandIn, local: Local) -> None:
    """In the order of the recipients."""
    to = (ALICE, b"example.org-nobody@example.org", b"example.org-filter@example.org", BOB, b"noat", b"@mx.example.org")
    (reports,) = queue.deliver(queue.message(b"\n", *to))
    assert [report.result.value for report in reports] == ["K", "D", "Z", "K", "D", "K"]
    assert reports[1].text == b"550 5.1.1 no mailbox here by that name"
    assert reports[2].text == b"451 4.3.0 programs can't be started now"  # no launcher runs here
    assert len(new(state)) == len(new(state, "bob")) == 1


def test_what_is_done_beside_is_told_though_nobody_could_be_woken(
    state: State, queue: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipe that wakes `local` takes nothing for want of memory: it looks by itself."""
    write = os.write

    def fails(fd: int, data: bytes) -> int:
        if data == b".":
            raise OSError(errno.ENOMEM, "no memory")
        return write(fd, data)

    monkeypatch.setattr(os, "write", fails)
    local = Local(state)
    try:
        (reports,) = queue.deliver(queue.message(b"\n", b"example.org-filter@example.org"))
        assert reports[0].result is Result.TEMPORARY
    finally:
        local.stop()


def test_a_looping_message_is_refused(queue: StandIn, local: Local, state: State) -> None:
    """It has our Delivered-To line already."""
    (reports,) = queue.deliver(queue.message(b"Delivered-To: " + ALICE + b"\n\n", ALICE, BOB))
    assert [report.result.value for report in reports] == ["D", "K"]
    assert reports[0].text.startswith(b"554 5.4.6 ")
    assert new(state) == []


@pytest.mark.parametrize(
    ("alias", "sender", "new_sender", "members"),
    [
        (b"team", b"s@x.example", b"team-owner@example.org", b"Talice@example.org\0Tx@y.example\0"),
        (b"team", b"", b"", b"Talice@example.org\0Tx@y.example\0"),
        (b"verp", b"s@x.example", b"verp-owner-@example.org-@[]", b"Tx@y.example\0"),
        (b"verp", b"#@[]", b"#@[]", b"Tx@y.example\0"),
    ],
)
def test_a_forward_enters_the_queue_as_one_new_message(
    queue: StandIn, local: Local, alias: bytes, sender: bytes, new_sender: bytes, members: bytes
) -> None:
    """With Delivered-To and without Return-Path (trap 12), each member once, for the list's owner."""
    to = b"example.org-" + alias + b"@example.org"
    (reports,) = queue.deliver(queue.message(b"Subject: hi\n\n", to, sender=sender))
    assert reports == [Report(Result.DONE, b"did 0+%d+0 qp new1" % members.count(b"T"))]
    assert queue.forwards == [b"F" + new_sender + b"\0" + members + b"\0Delivered-To: " + to + b"\nSubject: hi\n\n"]
    assert {line["new"] for line in events(local, "forwarded")} == {"new1"}


@pytest.mark.parametrize(("answer", "letter"), [(b"Zfull", "Z"), (b"Dno", "D"), (b"?", "Z")])
def test_a_refused_forward_gives_its_recipient_that_result(
    queue: StandIn, local: Local, answer: bytes, letter: str
) -> None:
    """The others of the batch are not concerned."""
    queue.answers = [answer]
    team = queue.message(b"\n", b"example.org-team@example.org")
    reports = queue.deliver(team, queue.message(b"\n", b"example.org-verp@example.org"), queue.message(b"\n", ALICE))
    assert [report.result.value for (report,) in reports] == [letter, "K", "K"]


def test_a_mailbox_and_a_forward_in_one_file(state: State, queue: StandIn, local: Local) -> None:
    """Mailboxes first, forwards last (trap 10); a failing mailbox keeps the forward back."""
    both = b"example.org-both@example.org"
    assert queue.deliver(queue.message(b"1\n", both)) == [[Report(Result.DONE, b"did 1+1+0 qp new1")]]
    box = state.mail / "example.org/both"
    (box / "new").rename(box / "away")
    assert queue.deliver(queue.message(b"2\n", both))[0][0].result is Result.TEMPORARY
    assert len(queue.forwards) == 1
    assert files(box / "tmp") == []


def test_a_file_of_comments_delivers_nowhere_and_succeeds(queue: StandIn, local: Local) -> None:
    """Trap 9, and the log says so."""
    assert queue.deliver(queue.message(b"\n", b"example.org-void@example.org")) == [[Report(Result.DONE, b"did 0+0+0")]]
    assert [line["to"] for line in events(local, "delivered")] == ["nowhere"]


def test_a_large_message_comes_by_descriptor(state: State, queue: StandIn, local: Local) -> None:
    """Into a Maildir and into a forward, and the small one beside it is reported first."""
    content = b"Subject: large\n\n" + os.urandom(3_000_000)
    large = queue.message(content, ALICE, b"example.org-verp@example.org")
    small = queue.message(b"small\n", BOB)
    assert queue.deliver(large, small)[0][0].result is Result.DONE
    assert list(queue.reports) == [small.id, large.id]
    assert new(state) == [TOP + ALICE + b"\n" + content]
    ((opening, *chunks),) = queue.large
    assert opening == b"LFverp-owner-@example.org-@[]\0Tx@y.example\0\0"
    assert b"".join(chunks) == b"Delivered-To: example.org-verp@example.org\n" + content


def test_a_large_message_that_is_gone_is_deferred(queue: StandIn, local: Local) -> None:
    """The queue gives no descriptor: temporary for all its recipients."""
    message = queue.message(b"x" * 140_000, ALICE, BOB)
    queue.bodies.clear()
    (reports,) = queue.deliver(message)
    assert [report.result.value for report in reports] == ["Z", "Z"]


def test_large_messages_are_delivered_together_but_for_one_that_is_gone(
    state: State, queue: StandIn, local: Local
) -> None:
    """Each gets its own content and its own report."""
    messages = [queue.message(b"%d\n" % n + b"x" * 200_000, ALICE) for n in range(60)]
    del queue.bodies[messages[7].message]
    reports = queue.deliver(*messages)
    assert [report.result.value for (report,) in reports] == ["K"] * 7 + ["Z"] + ["K"] * 52
    assert len(new(state)) == 59
    assert len({content[content.index(b"x" * 100) - 4 :] for content in new(state)}) == 59


def test_a_batch_with_a_broken_mailbox_delivers_the_others(state: State, queue: StandIn, local: Local) -> None:
    """And says why in the log, with the message's id."""
    (state.mail / "example.org").mkdir()
    (state.mail / "example.org/bob").write_text("no folder")
    messages = [queue.message(b"%d\n" % n, (ALICE, BOB)[n % 2]) for n in range(200)]
    reports = queue.deliver(*messages)
    assert [report.result.value for (report,) in reports] == ["K", "Z"] * 100
    assert len(new(state)) == 100
    trouble = events(local, "trouble")
    assert len(trouble) == 100
    assert "bob@example.org" in str(trouble[0]["what"])


def test_credit_is_returned_with_the_reports(queue: StandIn, local: Local) -> None:
    """The program never holds more than it asked for, and always asks again."""
    credit = queue.credit
    queue.deliver(*[queue.message(b"\n", ALICE) for _ in range(450)])
    queue.until(lambda: queue.credit == credit)


def test_the_program_connects_again_when_the_queue_restarts(state: State, queue: StandIn, local: Local) -> None:
    """It waits for the socket, and goes on."""
    queue.deliver(queue.message(b"one\n", ALICE), queue.message(b"\n", b"example.org-team@example.org"))
    queue.close()
    time.sleep(0.3)
    second = StandIn(state)
    second.until(lambda: second.credit > 0)
    second.deliver(second.message(b"two\n", ALICE), second.message(b"\n", b"example.org-team@example.org"))
    second.close()
    assert len(new(state)) == 2
    assert len(second.forwards) == 1
    assert len(events(local, "trouble")) <= 2


def test_what_was_delivered_is_not_delivered_again_after_the_queue_died(
    state: State, queue: StandIn, local: Local
) -> None:
    """A queue that was killed before it kept a report leases the message again: only the report is repeated."""
    both = (ALICE, BOB)
    message = queue.message(b"once\n", ALICE)
    queue.deliver(message)
    queue.close()
    second = StandIn(state)
    second.until(lambda: second.credit > 0)
    (reports,) = second.deliver(dataclasses.replace(message, id=message.id + 1000, recipients=both))
    second.close()
    assert [report.result.value for report in reports] == ["K", "K"]
    assert len(new(state)) == len(new(state, "bob")) == 1


def test_sigterm_ends_the_batch_in_hand_and_leaves_nothing_half_done(
    state: State, queue: StandIn, local: Local
) -> None:
    """What is in a mailbox is reported, what is not reported is in no mailbox."""
    queue.hand(*[queue.message(b"%d\n" % n, ALICE) for n in range(400)])
    queue.until(lambda: len(queue.reports) >= 20)
    assert local.stop() == 0
    queue.until(lambda: queue.credit == 0)
    assert len(new(state)) == len(queue.reports)
    assert files(state.mail / "example.org/alice/Maildir/tmp") == []
    assert [line["event"] for line in map(json.loads, local.log.read_text().splitlines())][-2:] == [
        "stopping",
        "stopped",
    ]


def test_a_changed_configuration_counts_from_the_next_batch(state: State, queue: StandIn, local: Local) -> None:
    """Without a restart."""
    queue.deliver(queue.message(b"\n", ALICE))
    make_state(state.root, {"mail/example.org/alice/.qmail": b"&new@x.example\n"}, name="g2")
    queue.deliver(queue.message(b"\n", ALICE))
    assert len(new(state)) == 1
    assert b"Tnew@x.example\0" in queue.forwards[0]


def test_a_damaged_generation_defers_mail(state: State, queue: StandIn, local: Local) -> None:
    """Nobody is told that a mailbox does not exist because a file can't be read."""
    state.generation.unlink()
    (reports,) = queue.deliver(queue.message(b"\n", ALICE))
    assert reports[0].result is Result.TEMPORARY
    make_state(state.root, name="g3")
    (state.generations / "g3/users/cdb").write_bytes(b"short")
    (reports,) = queue.deliver(queue.message(b"\n", ALICE))
    assert reports[0].result is Result.TEMPORARY
    make_state(state.root, name="g4")
    assert queue.deliver(queue.message(b"\n", ALICE))[0][0].result is Result.DONE


@pytest.fixture
def lonely(state: State) -> Iterator[Local]:
    """The program without a queue."""
    program = Local(state)
    yield program
    program.stop()


def test_without_a_queue_the_program_waits_and_still_stops(state: State, lonely: Local) -> None:
    """It starts in any order."""
    until = time.monotonic() + 60
    while not events(lonely, "trouble"):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert lonely.stop() == 0
    assert len(events(lonely, "trouble")) == 1  # not at once: the queue starts when we do


def test_hostile_recipients_harm_nothing(state: State, queue: StandIn, local: Local) -> None:
    """Names that try to leave the folder, or to be very long."""
    names = [b"example.org-../../../etc/passwd", b"example.org-" + b"a-" * 400, b"example.org-\n\xff", b"-", b"--/-"]
    (reports,) = queue.deliver(queue.message(b"\n", *[name + b"@example.org" for name in names]))
    assert {report.result for report in reports} == {Result.PERMANENT}
