"""qmail-inject, mailsubj, predate and datemail as people run them."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from inject_parts import BIN, Command, RecordingQueue

from appliance import enqueue
from appliance.state import State

LETTER = b"To: alice@example.org\nSubject: hi\n\nhello\n"


def test_a_message_is_completed_and_queued(run: Command, queue: RecordingQueue) -> None:
    """Nothing is said if all went well."""
    done = run("qmail-inject", text=LETTER)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (message,) = queue.messages
    assert (message.sender, message.recipients) == (b"joe@host.dom", [b"alice@example.org"])
    header, _, body = message.content.partition(b"\n\n")
    assert re.fullmatch(
        rb"Date: \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d -0000\n"
        rb"Message-ID: <\d{14}\.\d+\.qmail@mx\.example\.org>\n"
        rb"From: joe@host\.dom\n"
        rb"To: alice@example\.org\nSubject: hi",
        header,
    )
    assert body == b"hello\n"


def test_n_prints_instead_with_the_sender(run: Command, queue: RecordingQueue) -> None:
    """-N, after it, queues."""
    done = run("qmail-inject", "-n", "-f", "x y@a.b", text=LETTER)
    assert done.returncode == 0
    assert done.stdout.startswith(b'Return-Path: <"x y"@a.b>\nDate: ')
    assert done.stdout.endswith(b"To: alice@example.org\nSubject: hi\n\nhello\n")
    assert queue.messages == []
    assert run("qmail-inject", "-nN", text=LETTER).stdout == b""
    assert len(queue.messages) == 1


@pytest.mark.parametrize(
    ("text", "content", "why"),
    [
        (b"Subject: x\n\nbody", b"Subject: x\n\nbody\n", "a last line without end gets one"),
        (b"Subject: x\n", b"Subject: x\n", "a header alone gets no blank line"),
        (b"Subject: x", b"Subject: x\n", "nor without its end"),
        (b"Subject: x\n\n", b"Subject: x\n\n", "an empty body stays one"),
        (b"Subject: x\nno field\n", b"Subject: x\n\nno field\n", "a line that is no field gets a blank line before it"),
        (b"no field at all", b"\nno field at all\n", "also without a header"),
        (b"Subject: x\r\n\r\nbody\r\n", b"Subject: x\n\nbody\n", "lines of DOS become ours"),
        (b"Subject: x\n\nbody\r\n", b"Subject: x\n\nbody\r\n", "a CR in other messages stays"),
        (b"From joe Mon\nSubject: x\n\n.\nmore\n", b"MBOX-Line: From joe Mon\nSubject: x\n\n.\nmore\n", "mbox, dots"),
    ],
)
def test_the_body_goes_out_as_it_came(
    run: Command, queue: RecordingQueue, text: bytes, content: bytes, why: str
) -> None:
    """Line ends apart."""
    assert run("qmail-inject", "alice@example.org", text=text).returncode == 0
    assert queue.messages[0].content.endswith(b"Cc: recipient list not shown: ;\n" + content)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"QMAILUSER": "q", "MAILUSER": "m", "USER": "u", "LOGNAME": "l"}, b"From: q@host.dom"),
        ({"MAILUSER": "m", "USER": "u", "LOGNAME": "l"}, b"From: m@host.dom"),
        ({"USER": "u", "LOGNAME": "l"}, b"From: u@host.dom"),
        ({"QMAILHOST": "a.b", "MAILHOST": "c.d"}, b"From: joe@a.b"),
        ({"MAILHOST": "c.d"}, b"From: joe@c.d"),
        ({"QMAILNAME": "Q", "MAILNAME": "M", "NAME": "N"}, b'From: "Q" <joe@host.dom>'),
        ({"MAILNAME": "M", "NAME": "N"}, b'From: "M" <joe@host.dom>'),
        ({"NAME": "N"}, b'From: "N" <joe@host.dom>'),
        ({"NAME": "N", "QMAILINJECT": "c"}, b"From: joe@host.dom (N)"),
        ({"QMAILSUSER": "s", "QMAILSHOST": "t.u"}, b"Return-Path: <s@t.u>"),
        ({"QMAILHOST": "a.b"}, b"Return-Path: <joe@a.b>"),
        ({"QMAILINJECT": "r"}, b"Return-Path: <joe-@host.dom-@[]>"),
        ({"QMAILDEFAULTHOST": "e.f"}, b"From: joe@e.f"),
        ({"QMAILDEFAULTDOMAIN": "e.f"}, b"From: joe@host.e.f"),
        ({"QMAILPLUSDOMAIN": "e.f", "QMAILHOST": "g+"}, b"From: joe@g.e.f"),
        ({"QMAILIDHOST": "e.f"}, b".qmail@e.f>"),
    ],
)
def test_each_variable_counts(run: Command, variables: dict[str, str], expected: bytes) -> None:
    """The first that is set; control files after them. Nothing need run to print."""
    shown = run("qmail-inject", "-n", text=LETTER, **variables).stdout
    assert expected in shown.replace(b'Return-Path: <"joe-@host.dom-"@[]>', b"Return-Path: <joe-@host.dom-@[]>")


@pytest.mark.parametrize(
    ("files", "author"),
    [
        ({}, b"From: joe@mx.example.org"),
        ({"defaulthost": "mail"}, b"From: joe@mail.mx.example.org"),
        ({"defaulthost": "mail", "defaultdomain": "a.b"}, b"From: joe@mail.a.b"),
        ({"defaulthost": "mail+", "plusdomain": "c.d"}, b"From: joe@mail.c.d"),
        ({"defaulthost": "mail", "defaultdomain": ""}, b"From: joe@mail."),
        ({"idhost": "i.d"}, b".qmail@i.d>"),
        ({}, b".qmail@mx.example.org>"),
    ],
)
def test_control_files_are_completed_by_me(run: Command, state: State, files: dict[str, str], author: bytes) -> None:
    """One that is missing means this host's name; one that is there and empty is empty (trap 2)."""
    for name in ("defaulthost", "defaultdomain", "plusdomain"):
        (state.generation / "control" / name).unlink()
    for name, line in files.items():
        (state.generation / "control" / name).write_text(line + "\n")
    assert author in run("qmail-inject", "-n", text=LETTER).stdout


def test_the_m_letter_names_the_message_in_its_sender(run: Command, queue: RecordingQueue) -> None:
    """A bounce of this message goes to an address of its own."""
    run("qmail-inject", text=LETTER, QMAILINJECT="m")
    assert re.fullmatch(rb"joe-\d+\.\d+@host\.dom", queue.messages[0].sender)


def test_nobody_in_the_environment_is_anonymous(run: Command, state: State) -> None:
    """Cron jobs need not say who they are."""
    done = subprocess.run(
        [BIN / "qmail-inject", "-n"],
        check=False,
        input=LETTER,
        env={"PAPERPATH_STATE": state.root},
        capture_output=True,
    )
    assert b"From: anonymous@host.dom\n" in done.stdout


def test_lists_for_followups_are_in_a_file(run: Command, tmp_path: Path) -> None:
    """A file that is not there lists nothing."""
    (tmp_path / "lists").write_text("alice@example.org\n")
    assert (
        b"Mail-Followup-To: alice@example.org\n" in run("qmail-inject", "-n", text=LETTER, QMAILMFTFILE="lists").stdout
    )
    assert b"Mail-Followup-To" not in run("qmail-inject", "-n", text=LETTER, QMAILMFTFILE="none").stdout


@pytest.mark.parametrize(
    ("words", "text", "why"),
    [
        (["-x"], LETTER, b"no option -x"),
        (["-f"], LETTER, b"needs a value"),
        ([], b"To: <alice\n\n", b"cannot read the addresses in To"),
        ([], b"From: (alice\n\n", b"cannot read the addresses in From"),
        (["a" * 1003], LETTER, b"longer than 1002 bytes"),
        ([], b"To: " + b"a" * 1003 + b"\n\n", b"longer than 1002 bytes"),
        ([], b"To: a\0b@c.d\n\n", b"line end or NUL"),
        ([], b"Subject: " + b"x" * 9_000_000, b"the header has more than"),
        ([], b"To: " + (b"a" * 900 + b"@b.c, ") * 5_000 + b"\n\n", b"too many recipients"),
    ],
)
def test_what_can_never_be_sent_exits_100(
    run: Command, queue: RecordingQueue, words: list[str], text: bytes, why: bytes
) -> None:
    """With a reason, and nothing queued."""
    done = run("qmail-inject", *words, text=text)
    assert done.returncode == 100
    assert done.stderr.startswith(b"qmail-inject: fatal: ")
    assert why in done.stderr
    assert queue.messages == []


def test_a_queue_that_does_not_run_exits_111(run: Command) -> None:
    """The text says where it was looked for."""
    done = run("qmail-inject", text=LETTER)
    assert done.returncode == 111
    assert b"cannot queue the message now" in done.stderr


def test_a_state_folder_without_configuration_exits_111(run: Command, tmp_path: Path) -> None:
    """As where nothing has run yet."""
    done = run("qmail-inject", text=LETTER, PAPERPATH_STATE=str(tmp_path / "none"))
    assert done.returncode == 111
    assert b"no configuration is in force" in done.stderr


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (b"Dno such thing", 100, b"no such thing"),
        (b"Zdisk full", 111, b"disk full"),
        (None, 111, b"closed the connection"),
    ],
)
def test_what_the_queue_answers_is_the_exit_status(
    run: Command, queue: RecordingQueue, answer: bytes | None, status: int, text: bytes
) -> None:
    """Permanent 100, temporary 111; a queue that dies before its answer is temporary."""
    queue.answer = answer
    done = run("qmail-inject", text=LETTER)
    assert done.returncode == status
    assert text in done.stderr


def test_a_queue_that_dies_halfway_through_a_large_message_exits_111(run: Command, queue: RecordingQueue) -> None:
    """Nothing is half-queued, for the end never came."""
    queue.deaf = 1_000_000
    done = run("qmail-inject", text=LETTER + b"line of text\n" * 500_000)
    assert done.returncode == 111
    assert queue.messages == []


def test_the_queues_answer_in_the_middle_of_a_large_message_is_heard(run: Command, queue: RecordingQueue) -> None:
    """It says no as soon as it knows, and the command does not call that a broken connection."""
    queue.answer = b"Dmessage too large"
    done = run("qmail-inject", text=LETTER + b"line of text\n" * 50_000)
    assert done.returncode == 100
    assert b"message too large" in done.stderr


def test_a_hundred_thousand_recipients_are_one_message(run: Command, queue: RecordingQueue) -> None:
    """None is lost, none is doubled."""
    everybody = [b"user%d@example.org" % number for number in range(100_000)]
    done = run("qmail-inject", text=b"Bcc: " + b",\n ".join(everybody) + b"\n\nhello\n")
    assert done.returncode == 0, done.stderr
    assert sorted(queue.messages[0].recipients) == sorted(everybody)


def test_memory_stays_flat_however_large_the_message_is(state: State, queue: RecordingQueue, tmp_path: Path) -> None:
    """The body streams: 100 MiB of it take no more memory than a line, in qmail-inject and in qmail-queue."""
    program = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\ntry: runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    program += "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    (tmp_path / "measured.py").write_text(program)
    (tmp_path / "large").write_bytes(LETTER + b"x" * 99 + b"\n")
    (tmp_path / "envelope").write_bytes(b"Fs@a.b\0Tr@a.b\0\0")
    environ = {"PAPERPATH_STATE": str(state.root), "USER": "joe"}

    def most(name: str, copies: int) -> int:
        fill = subprocess.Popen(
            [sys.executable, "-c", f"import sys\nfor n in range({copies}): sys.stdout.write(('x'*99+chr(10))*10000)"],
            stdout=subprocess.PIPE,
        )
        with (tmp_path / "envelope").open("rb") as envelope, (tmp_path / "log").open("wb+") as log:
            subprocess.run(
                [sys.executable, tmp_path / "measured.py", BIN / name],
                stdin=fill.stdout, stdout=envelope if name == "qmail-queue" else None, stderr=log, env=environ, timeout=120, check=True
            )  # fmt: skip
            fill.communicate()
            log.seek(0)
            return int(log.read().split()[-1])

    for name in ("qmail-inject", "qmail-queue"):
        small, large = most(name, 1), most(name, 100)
        assert large < small + 8 * 1024, f"{name}: {small} KiB with 1 MB, {large} KiB with 100 MB"


def test_large_messages_stream_and_small_ones_are_one_frame(run: Command, queue: RecordingQueue) -> None:
    """The same content either way."""
    for size in (10, enqueue.INLINE + 10):
        assert run("qmail-inject", text=LETTER + b"x" * size + b"\n").returncode == 0
    small, large = queue.messages
    assert (small.large, large.large) == (False, True)
    assert large.content.endswith(b"\n\nhello\n" + b"x" * (enqueue.INLINE + 10) + b"\n")


def test_a_writer_that_stops_halfway_queues_nothing(state: State, queue: RecordingQueue) -> None:
    """A command that is killed drops its connection, and the queue forgets what came."""
    environ = {"PAPERPATH_STATE": str(state.root), "USER": "joe"}
    process = subprocess.Popen([BIN / "qmail-inject"], stdin=subprocess.PIPE, env=environ)
    assert process.stdin is not None
    process.stdin.write(LETTER + b"x" * 1_000_000)
    process.stdin.flush()
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdin.close()
    assert queue.messages == []


def test_mailsubj_makes_subject_and_to(run: Command, queue: RecordingQueue) -> None:
    """A line end in an argument begins no field."""
    assert run("mailsubj", "the subject\nBcc: x", "a@b.c", "fred", text=b"hello\n").returncode == 0
    message = queue.messages[0]
    assert message.recipients == [b"fred@host.dom", b"a@b.c"]
    assert message.content.endswith(b"Subject: the subject Bcc: x\nTo: a@b.c, fred@host.dom\n\nhello\n")
    assert run("mailsubj").returncode == 100


def test_predate_puts_the_local_date_first(run: Command) -> None:
    """In the zone of TZ, with the program's own exit status."""
    done = run("predate", "sh", "-c", "cat; exit 7", text=LETTER, TZ="XYZ-05:30")
    assert done.returncode == 7
    assert re.match(rb"Date: \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d \+0530\nTo: alice", done.stdout)
    assert run("predate", "true", text=b"x" * 1_000_000).returncode == 0
    assert run("predate", "sh", "-c", "kill -9 $$").returncode == 111
    assert run("predate", "no-such-program").returncode == 100
    assert run("predate").returncode == 100


def test_datemail_is_sendmail_with_the_local_date(run: Command, queue: RecordingQueue) -> None:
    """One Date, and it is not in GMT."""
    assert run("datemail", "-t", text=LETTER, TZ="XYZ+03:00").returncode == 0
    assert re.findall(rb"^Date: .*$", queue.messages[0].content, re.MULTILINE)[0].endswith(b" -0300")
    assert queue.messages[0].content.count(b"Date: ") == 1


def test_many_at_the_same_time(run: Command, queue: RecordingQueue) -> None:
    """Each its own message."""
    threads = [
        threading.Thread(target=run, args=("qmail-inject",), kwargs={"text": LETTER + b"%d\n" % n}) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(message.content[-2:] for message in queue.messages) == [b"%d\n" % n for n in range(8)]


def test_start_up_is_short(run: Command, queue: RecordingQueue) -> None:
    """These commands start often: what they import is watched, for it is what their start costs."""
    program = "import sys, appliance.inject.qmail_inject\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"argparse", "asyncio", "email", "logging", "subprocess", "tempfile", "uvloop", "yaml", "ssl"}
    assert not heavy & set(loaded)
