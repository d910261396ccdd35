"""Hostile programs at the queue's doors: one row an attack.  The queue serves its honest neighbours meanwhile.

Each attacker has what somebody would have who took a program over: its token.  What must come of it is in the attack;
that an honest message goes through in time, that memory is bounded, and that no descriptor stays, is for all of them.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hostile_queue import (
    ALICE,
    CAROL,
    DONE,
    MEMORY,
    SENDER,
    Queue,
    closed,
    deaf,
    frame,
    letter,
    pour,
    unfinished,
)

from appliance import envelope, intake, lease
from appliance.queue.intake import LARGE
from appliance.queue.present import MOST, STRANGERS

Stack = contextlib.ExitStack
Attack = Callable[[Queue, Stack], None]
ROLES = {"intake": "smtpd", "lease": "remote", "admin": "admin"}


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queue]:
    """One queue for all attacks: each finds it as the others have left it."""
    running = Queue(tmp_path_factory.mktemp("hostile"), databytes="1000000")
    yield running
    assert running.stop() == 0
    assert [
        line for line in running.events("trouble") if "nobody foresaw" in line["what"] or "defect" in line["what"]
    ] == []


# -- who may enter, and how much of him ---------------------------------------------------------


def no_token(queue: Queue, stack: Stack) -> None:
    """Nor one that looks like one, nor another role's, nor an own one at another door."""
    for name, role in ROLES.items():
        foreign = {"intake": "remote", "lease": "smtpd", "admin": "local"}[name]
        for hello in (
            b"",
            b"0:,",
            frame(b"GET / HTTP/1.1"),
            frame(role.encode() + b" "),
            frame(role.encode() + b" " + b"0" * 64),
        ):
            caller = stack.enter_context(queue.stranger(name, hello + frame(b"W1")))
            assert closed(caller)
        assert closed(stack.enter_context(queue.enter(name, role, token=foreign)))
        assert closed(stack.enter_context(queue.enter(name, foreign)))


def a_hello_without_end(queue: Queue, stack: Stack) -> None:
    """Nothing is kept for a stranger."""
    for name in ROLES:
        assert closed(stack.enter_context(queue.stranger(name, unfinished(60_000, 5_000))))


def more_strangers_than_fit(queue: Queue, stack: Stack) -> None:
    """The oldest makes room; whoever has a token says so at once and gets in."""
    silent = [stack.enter_context(queue.stranger("intake")) for _ in range(STRANGERS + 50)]
    assert closed(silent[0])


def more_connections_than_a_role_may_have(queue: Queue, stack: Stack) -> None:
    """What a mailbox's programs open too many of is their own loss."""
    callers = [stack.enter_context(queue.enter("intake", "inject")) for _ in range(MOST["inject"] + 20)]
    assert closed(callers[-1])


def descriptors_for_the_queue(queue: Queue, stack: Stack) -> None:
    """What is passed by SCM_RIGHTS goes nowhere."""
    before = queue.descriptors
    for name, role in ROLES.items():
        caller = stack.enter_context(queue.enter(name, role))
        for _ in range(8):  # of a length that may still become one
            socket.send_fds(caller.socket, [b"1"], [0] * 250)
    assert queue.descriptors - before < 20


# -- frames -------------------------------------------------------------------------------------


def frames_that_are_none(queue: Queue, stack: Stack) -> None:
    """A length that is too large, negative, with zeros before it, without an end: the connection ends."""
    for name, role in ROLES.items():
        for bad in (
            b"999999999:",
            b"99999999999999999999",
            b"-1:x,",
            b"+1:x,",
            b"01:x,",
            b" 1:x,",
            b":x,",
            b"1:xx",
            b"\xd9\xa1:x,",
        ):
            caller = stack.enter_context(queue.enter(name, role))
            caller.say(bad)
            assert closed(caller), bad


def frames_that_never_end(queue: Queue, stack: Stack) -> None:
    """A role has 64 MiB for what it has begun to say; whoever has most of it goes."""
    callers = [stack.enter_context(queue.enter("intake", "smtpd")) for _ in range(30)]
    for caller in callers:
        pour(caller, unfinished(4_200_000, 4_100_000))
    assert sum(closed(caller, 0.02) for caller in callers) > 10


def empty_frames_without_end(queue: Queue, stack: Stack) -> None:
    """A hundred mistakes, and the connection ends."""
    for name, role in ROLES.items():
        if name != "admin":  # an empty request is answered there
            caller = stack.enter_context(queue.enter(name, role))
            pour(caller, b"0:," * 100_000)
            assert closed(caller)


# -- the intake: whoever has entered can submit mail, and nothing else --------------------------


def words_of_other_doors(queue: Queue, stack: Stack) -> None:
    """Smtpd can't list, lease, hold, report or read."""
    for word in (b"W5", b"R1\0Kok\0", b"B1", b'{"do": "list"}', b'{"do": "drop", "id": "1"}', b"S1"):
        caller = stack.enter_context(queue.enter("intake", "smtpd"))
        caller.say(frame(word))
        assert caller.hear()[:1] == b"D"


def answers_that_nobody_reads(queue: Queue, stack: Stack) -> None:
    """It is not listened to any more; its answers do not pile up."""
    nothing = frame(envelope.encode(b"", []))
    assert deaf(queue, stack.enter_context(queue.enter("intake", "inject")), nothing * 150_000)


def a_million_recipients(queue: Queue, stack: Stack) -> None:
    """Of one message: refused."""
    caller = stack.enter_context(queue.enter("intake", "inject"))
    caller.say(intake.request(SENDER, [b"a"] * 1_000_000, b"x"))
    assert caller.hear()[:1] == b"D"


def uploads_that_never_end(queue: Queue, stack: Stack) -> None:
    """A role may bring so many large messages at a time; other roles have their own share."""
    callers = [stack.enter_context(queue.enter("intake", "inject")) for _ in range(LARGE["inject"] + 1)]
    for caller in callers:
        caller.say(intake.opening(SENDER, [ALICE]), frame(b"x" * 1000))
    # any of them: the queue may hear the last one first
    told, _, _ = select.select([caller.socket for caller in callers], [], [], 30)
    assert [caller.hear()[:1] for caller in callers if caller.socket in told] == [b"Z"]
    honest = stack.enter_context(queue.enter("intake", "smtpd"))
    honest.say(intake.opening(SENDER, [ALICE]), frame(b"x" * 60_000) * 3, frame(b""))
    assert honest.hear()[:1] == b"K"
    queue.empty()


def an_upload_without_a_limit(queue: Queue, stack: Stack) -> None:
    """A program of this machine may send what the network may, and some trace lines more."""
    caller = stack.enter_context(queue.enter("intake", "inject"))
    pour(caller, intake.opening(SENDER, [ALICE]) + frame(b"x" * 60_000) * 50)
    assert caller.hear()[:1] == b"D"
    queue.wait_for(lambda: not any(queue.state.bodies.iterdir()))


def an_upload_of_crumbs(queue: Queue, stack: Stack) -> None:
    """Chunks of a byte are not read faster than they are written."""
    caller = stack.enter_context(queue.enter("intake", "smtpd"))
    said = intake.opening(SENDER, [ALICE]) + frame(b"x") * 2_000_000
    assert pour(caller, said, 0.5, in_all=1.0) < len(said)


def something_after_an_upload(queue: Queue, stack: Stack) -> None:
    """It has a connection of its own."""
    caller = stack.enter_context(queue.enter("intake", "smtpd"))
    pour(caller, intake.opening(SENDER, [ALICE]) + frame(b"x" * 1000) + frame(b"") + frame(b"more"))
    assert closed(caller)
    queue.empty()


# -- leases: a worker has what it holds ---------------------------------------------------------


def credit_that_is_none(queue: Queue, stack: Stack) -> None:
    """Negative, broken, with blanks: the connection ends.  10^18 is believed as 10,000."""
    for count in (b"-1", b"", b"5.0", b"1e9", b" 5", b"5_0", b"\xd9\xa1", b"05", b"9" * 40):
        caller = stack.enter_context(queue.enter("lease", "remote"))
        caller.say(frame(b"W" + count))
        assert closed(caller), count
    greedy = stack.enter_context(queue.enter("lease", "remote"))
    greedy.say(frame(b"W%d" % 10**18))


def mail_of_another_channel(queue: Queue, stack: Stack) -> None:
    """However much credit `remote` has: what is for mailboxes here never comes to it."""
    remote = stack.enter_context(queue.enter("lease", "remote"))
    remote.say(lease.encode_credit(10_000))
    client = stack.enter_context(queue.enter("intake", "smtpd"))
    client.say(letter(ALICE), letter(CAROL), letter(ALICE))
    assert [client.hear()[:1] for _ in range(3)] == [b"K"] * 3
    delivery = lease.decode_delivery(remote.hear())
    assert delivery.recipients == (CAROL,)
    remote.say(lease.encode_report(delivery.id, DONE))
    remote.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        remote.hear()
    queue.empty()


def reports_of_what_is_not_held(queue: Queue, stack: Stack) -> None:
    """Of another's lease, of none, of one that has ended: ignored, a hundred times; then the connection ends."""
    holder, client = (
        stack.enter_context(queue.enter("lease", "local")),
        stack.enter_context(queue.enter("intake", "smtpd")),
    )
    holder.say(lease.encode_credit(1))
    client.say(letter())
    delivery = lease.decode_delivery(holder.hear())
    for role in ("local", "remote"):
        thief = stack.enter_context(queue.enter("lease", role))
        thief.say(*[lease.encode_report(delivery.id + number, DONE) for number in range(-20, 20)])
        thief.say(frame(b"W0"), *[lease.encode_report(delivery.id, DONE)] * 100)
        assert closed(thief)
    with queue.enter("admin", "admin") as admin:
        assert len(admin.ask(do="list")) == 1
    before = len(queue.events("finished"))
    holder.say(lease.encode_report(delivery.id, DONE), lease.encode_report(delivery.id, DONE))
    queue.wait_for(lambda: len(queue.events("finished")) > before)


def reports_with_too_many_and_too_few_results(queue: Queue, stack: Stack) -> None:
    """Whose result is whose is not guessed: tried again later."""
    client, worker = (
        stack.enter_context(queue.enter("intake", "smtpd")),
        stack.enter_context(queue.enter("lease", "local")),
    )
    worker.say(lease.encode_credit(3))
    before = len(queue.events("deferred"))
    for results in (DONE * 2, DONE * 500, []):
        client.say(letter())
        client.hear()
        worker.say(lease.encode_report(lease.decode_delivery(worker.hear()).id, results))
    queue.wait_for(lambda: len(queue.events("deferred")) == before + 3)
    with queue.enter("admin", "admin") as admin:
        for item in admin.ask(do="list"):
            admin.ask(do="drop", id=item["message"])


def reports_of_megabytes_and_control_characters(queue: Queue, stack: Stack) -> None:
    """10,000 bytes of a text are kept; a log line stays a line."""
    client, worker = (
        stack.enter_context(queue.enter("intake", "smtpd")),
        stack.enter_context(queue.enter("lease", "local")),
    )
    worker.say(lease.encode_credit(1))
    client.say(letter())
    client.hear()
    delivery = lease.decode_delivery(worker.hear())
    text = b'"}\n\n{"event": "delivered"}\r\n\x1b[2J\xff' * 100_000
    worker.say(frame(b"R%d\0Z" % delivery.id + text + b"\0"))
    queue.wait_for(lambda: queue.events("deferred") and "\x1b" in queue.events("deferred")[-1]["text"])
    assert queue.events("delivered") == []
    with queue.enter("admin", "admin") as admin:
        for item in admin.ask(do="list"):
            assert len(str(item)) < 100_000
            admin.ask(do="drop", id=item["message"])


FETCH = """
import sys, pathlib
from appliance import lease
from appliance.state import State
state = State(pathlib.Path(sys.argv[1]))
try:
    lease.fetch_body(state, lease.worker_hello(state, sys.argv[2]), int(sys.argv[3]))
except FileNotFoundError:
    sys.exit(7)
"""


def the_content_of_what_is_not_held(queue: Queue, stack: Stack) -> None:
    """Not by the other channel, not by another process of the same role, not after the report."""
    worker = stack.enter_context(queue.enter("lease", "local"))
    client = stack.enter_context(queue.enter("intake", "smtpd"))
    client.say(intake.opening(SENDER, [ALICE]), frame(b"x" * 60_000) * 4, frame(b""))
    client.hear()
    state, hello = queue.state, lease.worker_hello(queue.state, "local")
    worker.say(lease.encode_credit(1))
    delivery = lease.decode_delivery(worker.hear())
    for role in ("local", "remote"):
        command = [sys.executable, "-c", FETCH, str(state.root), role, str(delivery.message)]
        assert subprocess.run(command, check=False).returncode == 7
    with pytest.raises(FileNotFoundError):
        lease.fetch_body(state, lease.worker_hello(state, "remote"), delivery.message)
    os.close(lease.fetch_body(state, hello, delivery.message))  # its own it may read
    worker.say(lease.encode_report(delivery.id, DONE))
    queue.wait_for(lambda: not any(state.bodies.iterdir()))
    with pytest.raises(FileNotFoundError):
        lease.fetch_body(state, hello, delivery.message)


def a_worker_that_does_not_read(queue: Queue, stack: Stack) -> None:
    """It gets 2 MiB, and no more until it has read them."""
    worker, client = (
        stack.enter_context(queue.enter("lease", "remote")),
        stack.enter_context(queue.enter("intake", "smtpd")),
    )
    worker.say(lease.encode_credit(10_000))
    for number in range(150):
        client.say(letter(b"c@remote%d.example" % number, b"x" * 100_000))
    assert {client.hear()[:1] for _ in range(150)} == {b"K"}


def addresses_that_do_not_answer_without_end(queue: Queue, stack: Stack) -> None:
    """`remote` may tell of some; of a million, or of what is no address, the connection ends."""
    for told in (b"192.0.2.1 25 1 1\0" * 400_000, b"x" * 1000 + b" 25 1 1\0", b"192.0.2.1 -1 1 1\0", b"192.0.2.1\0"):
        caller = stack.enter_context(queue.enter("lease", "remote"))
        pour(caller, frame(b"S" + told))
        assert closed(caller)


# -- admin --------------------------------------------------------------------------------------


def questions_without_end(queue: Queue, stack: Stack) -> None:
    """Whoever does not read the answers is asked no more; JSON that is none, or too deep, is an error and no more."""
    pour(stack.enter_context(queue.enter("admin", "admin")), frame(b'{"do": "list"}') * 200_000, 0.5)
    caller = stack.enter_context(queue.enter("admin", "admin"))
    for bad in (
        b"[" * 60_000,
        b"1",
        b"null",
        b'"do"',
        b"[]",
        b'{"do": []}',
        b'{"do": "show", "id": {}}',
        b'{"do": "hold"}',
        b"\xff",
    ):
        caller.say(frame(bad))
        answer = caller.hear()
        assert b"error" in answer, bad
        assert caller.hear() == b""


ATTACKS: list[Attack] = [
    no_token,
    a_hello_without_end,
    more_strangers_than_fit,
    more_connections_than_a_role_may_have,
    descriptors_for_the_queue,
    frames_that_are_none,
    frames_that_never_end,
    empty_frames_without_end,
    words_of_other_doors,
    answers_that_nobody_reads,
    a_million_recipients,
    uploads_that_never_end,
    an_upload_without_a_limit,
    an_upload_of_crumbs,
    something_after_an_upload,
    credit_that_is_none,
    mail_of_another_channel,
    reports_of_what_is_not_held,
    reports_with_too_many_and_too_few_results,
    reports_of_megabytes_and_control_characters,
    the_content_of_what_is_not_held,
    a_worker_that_does_not_read,
    addresses_that_do_not_answer_without_end,
    questions_without_end,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_queue_serves_its_honest_neighbours_under(queue: Queue, attack: Attack) -> None:
    """What the attack must come to is in its own words; the queue serves others meanwhile, and it leaves nothing behind."""
    open_before, memory_before = queue.descriptors, queue.forget_peak()
    with contextlib.ExitStack() as stack:
        attack(queue, stack)
        queue.serves()
        assert queue.memory() - memory_before < MEMORY
    queue.wait_for(lambda: queue.descriptors <= open_before + 8)  # the pool's threads may have begun
    assert queue.process.poll() is None
