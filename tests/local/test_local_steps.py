"""Dot-qmail files with programs and mboxes, carried out line by line by the real local and launcher."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_parts import Local, StandIn, files

from appliance import envelope, intake
from appliance.lease import Report
from appliance.state import State

ALICE, BOB = b"example.org-alice@example.org", b"example.org-bob@example.org"
MESSAGE = b"Subject: hi\n\nFrom me\n"
DTLINE = b"Delivered-To: " + ALICE + b"\n"


@pytest.fixture
def launcher(state: State) -> Iterator[int]:
    """The launcher in a process of its own; its pid."""
    log = state.root / "launcher.log"
    pid = os.fork()
    if not pid:
        try:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
            from appliance.launcher.main import main

            main(state)
        finally:
            os._exit(1)
    while not (log.exists() and b"started" in log.read_bytes()):
        time.sleep(0.01)
    yield pid
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


@pytest.fixture
def home(state: State, launcher: int) -> Path:
    """The home of alice."""
    made = state.mail / "example.org/alice"
    made.mkdir(parents=True)
    return made


def told(queue: StandIn, home: Path, lines: bytes, message: bytes = MESSAGE, sender: bytes = b"s@x.example") -> Report:
    """What is reported when alice's file has these lines."""
    (home / ".qmail").write_bytes(lines)
    ((report,),) = queue.deliver(queue.message(message, ALICE, sender=sender), timeout=30)
    return report


@pytest.mark.parametrize(
    ("lines", "letter", "text", "reason"),
    [
        (b"|exit 0", "K", b"did 0+0+1", "success"),
        (b"|echo thanks", "K", b"thanks\ndid 0+0+1", "what it wrote comes first"),
        (b"|printf thanks; exit 99", "K", b"thanks\ndid 0+0+1", "99 is success, too"),
        (b"|echo no such list; exit 100", "D", b"no such list", "100 is permanent, in the program's own words"),
        (b"|exit 100", "D", b"554 5.3.0 the mailbox's program refused the message (exit status 100)", "in ours"),
        *((b"|exit %d" % n, "D", None, "permanent as in sysexits.h") for n in (64, 65, 70, 76, 77, 78, 112)),
        (b"|echo later; exit 111", "Z", b"later", "111 is temporary"),
        *((b"|exit %d" % n, "Z", None, "everything else is temporary") for n in (1, 2, 66, 75, 98, 101, 126, 255)),
        (b"|kill -9 $$", "Z", b"451 4.3.0 the mailbox's program was killed by signal 9", "so is a signal"),
        (b"|nonsense 2>/dev/null", "Z", None, "and a command that does not exist (127)"),
        (b"./Mailbox\n|exit 0\n|exit 0", "K", b"did 1+0+2", "files, forwards, programs"),
    ],
)
def test_trap_11_an_unlisted_exit_status_and_a_signal_are_temporary(
    queue: StandIn, local: Local, home: Path, lines: bytes, letter: str, text: bytes | None, reason: str
) -> None:
    """Exit statuses of programs: 0 and 99 succeed, eight are permanent, all others and signals are tried again."""
    report = told(queue, home, lines)
    assert report.result.value == letter, reason
    assert text is None or report.text == text


def test_trap_10_forwards_leave_last_and_together(queue: StandIn, local: Local, home: Path) -> None:
    """One new message for all forward lines, after every other line; a failing line before the end stops them."""
    report = told(queue, home, b"&a@x\n|echo one >>seen\n&b@x\n|test -s seen && exit 0; exit 111\n./Maildir/")
    assert report == ("K", b"did 1+2+2 qp new1")
    letter, start = envelope.decode(queue.forwards[0])
    assert letter.recipients == (b"a@x", b"b@x")
    assert queue.forwards[0][start:] == DTLINE + MESSAGE
    assert len(files(home / "Maildir/new")) == 1
    assert told(queue, home, b"&a@x\n|exit 111\n&b@x").result.value == "Z"
    assert told(queue, home, b"&a@x\n|exit 100\n&b@x").result.value == "D"
    assert told(queue, home, b"&a@x\n/no/such/folder/\n&b@x\n|exit 0").result.value == "Z"
    assert len(queue.forwards) == 1


def test_trap_10_exit_99_skips_later_lines_only(queue: StandIn, local: Local, home: Path) -> None:
    """What was to be forwarded before it still is."""
    report = told(queue, home, b"&a@x\n./before/\n|exit 99\n&b@x\n./after/")
    assert report == ("K", b"did 1+1+1 qp new1")
    assert envelope.decode(queue.forwards[0])[0].recipients == (b"a@x",)
    assert not (home / "after").exists()


def test_lines_run_in_their_order_and_earlier_ones_are_not_undone(queue: StandIn, local: Local, home: Path) -> None:
    """A failing line ends the delivery; at the retry they are done again."""
    for _ in range(2):
        assert told(queue, home, b"./Maildir/\n|echo ran >>log\n./Mailbox\n|exit 111\n|echo never >>log").result == "Z"
    assert len(files(home / "Maildir/new")) == 2
    assert (home / "log").read_bytes() == b"ran\nran\n"
    assert (home / "Mailbox").read_bytes().count(b"From s@x.example ") == 2


@pytest.mark.parametrize("size", [20, 300_000], ids=["small", "large"])
def test_trap_12_only_mailboxes_get_return_path_and_delivered_to(
    queue: StandIn, local: Local, home: Path, size: int
) -> None:
    """A program reads the message as it lies in the queue; a forward gets Delivered-To; a mailbox gets both lines."""
    message = b"Subject: hi\n\n" + b"x" * size + b"\n"
    report = told(queue, home, b"|cat >raw\n|cat >again\n./Maildir/\n./Mailbox\n&a@x", message)
    assert report == ("K", b"did 2+1+2 qp new1")
    assert (home / "raw").read_bytes() == (home / "again").read_bytes() == message
    top = b"Return-Path: <s@x.example>\n" + DTLINE
    assert files(home / "Maildir/new") == [top + message]
    mbox = (home / "Mailbox").read_bytes()
    assert mbox.startswith(b"From s@x.example ")
    assert mbox.endswith(b"\n" + top + message + b"\n")
    if size < intake.INLINE:
        assert queue.forwards[0].endswith(b"\0\0" + DTLINE + message)
    else:
        assert b"".join(queue.large[0][1:]) == DTLINE + message


@pytest.mark.parametrize(
    ("name", "file", "ext", "default"),
    [
        (b"List-A.B", ".qmail-list-a:b", "List-A.B", "unset"),
        (b"List-A.B", ".qmail-list-default", "List-A.B", "A.B"),
        (b"List-A.B", ".qmail-default", "List-A.B", "List-A.B"),
        (b"List-Default", ".qmail-list-default", "List-Default", "Default"),
    ],
)
def test_trap_07_only_the_file_name_is_folded(
    queue: StandIn, local: Local, state: State, launcher: int, name: bytes, file: str, ext: str, default: str
) -> None:
    """Its extension is in lower case with colons for dots; EXT, DEFAULT and LOCAL keep the sender's spelling."""
    home = state.mail / "example.org"
    home.mkdir()
    (home / file).write_bytes(b'|printf "%s\\n" "$EXT" "$LOCAL" "${DEFAULT-unset}" >seen')
    ((report,),) = queue.deliver(queue.message(MESSAGE, b"example.org-" + name + b"@example.org"))
    assert report.result == "K"
    assert (home / "seen").read_text().split("\n")[:3] == [ext, "example.org-" + name.decode(), default]


@pytest.mark.parametrize("existing", [(".qmail", ".qmaildefault"), (".qmaildefault",), ()])
def test_trap_08_a_bare_user_has_qmail_then_qmaildefault_then_the_default_delivery(
    queue: StandIn, local: Local, home: Path, existing: tuple[str, ...]
) -> None:
    """Dash and extension are empty."""
    for name in existing:
        (home / name).write_bytes(b"|echo %b >seen" % name.encode())
    queue.deliver(queue.message(MESSAGE, ALICE))
    if existing:
        assert (home / "seen").read_text() == existing[0] + "\n"
    else:
        assert len(files(home / "Maildir/new")) == 1


def test_trap_09_only_comments_deliver_nowhere_and_an_empty_file_as_usual(
    queue: StandIn, local: Local, home: Path
) -> None:
    """Both succeed."""
    assert told(queue, home, b"# nobody reads this\n#|exit 1\n") == ("K", b"did 0+0+0")
    assert not (home / "Maildir").exists()
    assert told(queue, home, b"") == ("K", b"did 1+0+0")
    assert len(files(home / "Maildir/new")) == 1


def test_trap_21_an_empty_local_part_is_a_silent_trash_can(queue: StandIn, local: Local, home: Path) -> None:
    """Success, and nothing is run."""
    (home / ".qmail").write_bytes(b"|echo >seen")
    ((report,),) = queue.deliver(queue.message(MESSAGE, b"@mx.example.org"))
    assert report.result == "K"
    assert not (home / "seen").exists()


def test_the_owner_s_address_is_the_new_sender(queue: StandIn, local: Local, home: Path) -> None:
    """NEWSENDER and the sender of forwards: the owner, or VERP if there is an owner-default."""
    for name, sender in (
        ("x", b"s@x.example"),
        (".qmail-owner", b"alice-owner@example.org"),
        (".qmail-owner-default", b"alice-owner-@example.org-@[]"),
    ):
        (home / name).touch()
        queue.forwards.clear()
        assert told(queue, home, b"&a@x\n|printf %s $NEWSENDER >seen").result == "K"
        assert (home / "seen").read_bytes() == sender
        assert envelope.decode(queue.forwards[0])[0].sender == sender


def test_each_recipient_s_verp_sender_is_its_own(queue: StandIn, local: Local, home: Path) -> None:
    """A list's sender names the member; SENDER and Return-Path have it expanded."""
    assert told(queue, home, b'|printf "%s %s" "$SENDER" "$RPLINE" >seen', sender=b"list-@h.example-@[]").result == "K"
    expanded = b"list-alice=example.org@h.example"
    assert (home / "seen").read_bytes() == expanded + b" Return-Path: <" + expanded + b">\n"


def test_a_slow_program_delays_no_maildir(queue: StandIn, local: Local, home: Path) -> None:
    """Mail for others goes on while fifteen programs sleep, ten at a time; each is reported when it is done."""
    (home / ".qmail").write_bytes(b"|sleep 1; echo $$ >>seen")
    slow = [queue.message(MESSAGE, ALICE) for _ in range(15)]
    queue.hand(*slow)
    begun = time.monotonic()
    for _ in range(20):
        queue.deliver(*(queue.message(MESSAGE, BOB) for _ in range(100)))
    assert time.monotonic() - begun < 1 or not all(delivery.id in queue.reports for delivery in slow)
    for delivery in slow:
        assert queue.wait(delivery.id, 60) == [Report("K", b"did 0+0+1")]
    assert time.monotonic() - begun >= 2
    assert len(set((home / "seen").read_text().split())) == 15
    assert queue.credit >= 1200


def test_recipients_with_and_without_programs_share_a_delivery(queue: StandIn, local: Local, home: Path) -> None:
    """Their results come in the order of the recipients, when all are there."""
    (home / ".qmail").write_bytes(b"|exit 100")
    (reports,) = queue.deliver(queue.message(MESSAGE, BOB, ALICE, b"example.org-nobody@example.org"))
    assert [report.result for report in reports] == ["K", "D", "D"]


def test_a_program_is_ended_when_local_is_stopped_or_killed(
    queue: StandIn, state: State, launcher: int, home: Path
) -> None:
    """Its lease returns, and nothing goes on working for it."""
    (home / ".qmail").write_bytes(b"|echo $$ >pid; exec sleep 4715")
    for number in (signal.SIGKILL, signal.SIGTERM):
        (home / "pid").unlink(missing_ok=True)
        program = Local(state)
        queue.until(lambda: queue.credit > 0)
        delivery = queue.message(MESSAGE, ALICE)
        queue.hand(delivery)
        until = time.monotonic() + 10
        while not ((home / "pid").exists() and (home / "pid").read_text()):
            assert time.monotonic() < until
            time.sleep(0.01)
        pid = int((home / "pid").read_text())
        begun = time.monotonic()
        program.stop(number)
        assert time.monotonic() - begun < 60
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < until + 10
            time.sleep(0.01)
        assert delivery.id not in queue.reports


def test_a_program_that_ends_while_local_stops_is_reported(
    queue: StandIn, state: State, launcher: int, home: Path
) -> None:
    """Deliveries in hand are finished if that is a matter of seconds: so there is no second one."""
    (home / ".qmail").write_bytes(b"|echo >begun; sleep 1")
    program = Local(state)
    queue.until(lambda: queue.credit > 0)
    delivery = queue.message(MESSAGE, ALICE)
    queue.hand(delivery)
    while not (home / "begun").exists():
        time.sleep(0.01)
    assert program.stop() == 0
    assert queue.reports[delivery.id] == [Report("K", b"did 0+0+1")]


def test_a_restarted_queue_gets_no_second_delivery_of_what_was_done(state: State, launcher: int, home: Path) -> None:
    """A program goes on without its lease and is not started a second time: later while it runs, done when it was."""
    (home / ".qmail").write_bytes(b"|echo ran >>seen; until [ -e enough ]; do sleep 0.05; done")
    first = StandIn(state)
    program = Local(state)
    first.until(lambda: first.credit > 0)
    slow = first.message(MESSAGE, ALICE)
    first.hand(slow)
    while not (home / "seen").exists():
        time.sleep(0.01)
    first.close()
    second = StandIn(state)
    second.until(lambda: second.credit > 0)
    (report,) = second.deliver(slow)[0]
    assert report == Report("Z", b"451 4.3.0 an attempt from before the queue's restart still runs, try again later")
    (home / "enough").touch()
    until = time.monotonic() + 20
    while report.result != "K":
        assert time.monotonic() < until
        del second.reports[slow.id]
        (report,) = second.deliver(slow)[0]
    program.stop()
    second.close()
    assert (home / "seen").read_text() == "ran\n"


def test_a_launcher_that_is_gone_defers(queue: StandIn, local: Local, state: State) -> None:
    """It will be started again."""
    (state.mail / "example.org/alice").mkdir(parents=True)
    report = told(queue, state.mail / "example.org/alice", b"|exit 0")
    assert report == ("Z", b"451 4.3.0 programs can't be started now")


@pytest.mark.parametrize("line", [b"./Mailbox", b"./folder/file", b"./../bob/file", b"BOB/file"])
def test_a_mailbox_s_mbox_lies_in_its_home(queue: StandIn, local: Local, home: Path, line: bytes) -> None:
    """A program may make links and files in its home; local, which may write to all, does not follow them out of it."""
    bob = home.parent / "bob"
    bob.mkdir()
    (bob / "file").write_bytes(b"bob's\n")
    (home / "Mailbox").symlink_to(bob / "file")
    (home / "folder").symlink_to(bob)
    report = told(queue, home, line.replace(b"BOB", os.fsencode(bob)))
    assert report == ("Z", b"451 4.2.1 the mbox lies outside the mailbox's home")
    assert (bob / "file").read_bytes() == b"bob's\n"


def test_the_log_names_the_program_and_what_ended_it(queue: StandIn, local: Local, home: Path, state: State) -> None:
    """For the person at 3 a.m.: which message, which line, which limit."""
    told(queue, home, b"|cat /dev/zero")
    told(queue, home, b"|exit 0\n./Mailbox")
    lines = [json.loads(line) for line in local.log.read_bytes().split(b"\n") if line]
    (trouble,) = [line for line in lines if line["event"] == "trouble"]
    assert "alice@example.org: the mailbox's program was ended: it wrote more than" in trouble["what"]
    assert trouble["cause"] == "|cat /dev/zero"
    delivered = [line["to"] for line in lines if line["event"] == "delivered"]
    assert delivered == ["program exit 0", f"mbox {home}/Mailbox"]
