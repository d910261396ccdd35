"""The filters of dot-qmail lines: what they do by their exit status, and what they queue."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inject_parts import BIN, RecordingQueue

from appliance.filters.qreceipt import asked, notice
from appliance.state import State

LETTER = b"Received: x\nSubject: hi\n\nhello\n"
# what a delivery has (contracts: environment given)
DELIVERY = {
    "SENDER": "sender@far.example",
    "NEWSENDER": "alice-owner@example.org",
    "RECIPIENT": "alice@example.org",
    "LOCAL": "alice",
    "HOST": "example.org",
    "EXT": "",
    "DTLINE": "Delivered-To: alice@example.org\n",
    "RPLINE": "Return-Path: <sender@far.example>\n",
    "UFLINE": "From sender@far.example Thu Jan 15 08:00:00 2027\n",
}


@pytest.fixture
def line(state: State, tmp_path: Path):
    """Carry out a program line: its stdin is the message's file, as in a delivery."""
    (tmp_path / "message").write_bytes(LETTER)

    def deliver(command: str, *, piped: bool = False, **variables: str) -> subprocess.CompletedProcess[bytes]:
        environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "PAPERPATH_STATE": str(state.root), **DELIVERY, **variables}
        command = f"cat {tmp_path / 'message'} | {command}" if piped else command
        with (tmp_path / "message").open("rb") as message:
            return subprocess.run(
                ["/bin/sh", "-c", command],
                check=False, stdin=message, env=environ, cwd=tmp_path, capture_output=True, timeout=60,
            )  # fmt: skip

    return deliver


def test_forward_sends_the_message_on_from_newsender(line, queue: RecordingQueue) -> None:
    """With our Delivered-To before it, byte for byte; the report names what was queued."""
    done = line("forward bob@far.example 'carol d'")
    assert (done.returncode, done.stdout) == (0, b"forward: qp id1\n")
    (message,) = queue.messages
    assert message.sender == b"alice-owner@example.org"
    assert message.recipients == [b"bob@far.example", b"carol d"]
    assert message.content == b"Delivered-To: alice@example.org\n" + LETTER


def test_forward_passes_a_verp_sender_on(line, queue: RecordingQueue) -> None:
    """The queue expands it for each recipient."""
    line("forward bob@far.example", NEWSENDER="list-owner-@example.org-@[]")
    assert queue.messages[0].sender == b"list-owner-@example.org-@[]"


@pytest.mark.parametrize(
    ("command", "answer", "status"),
    [
        ("forward bob", b"Dno", 100),
        ("forward bob", b"Zlater", 111),
        ("forward bob", None, 111),
        ("forward " + "b" * 1003, b"Kid", 100),
        ("forward bob <&-", b"Kid", 111),
        ("env -u NEWSENDER forward bob", b"Kid", 100),
        ("env -u DTLINE forward bob", b"Kid", 100),
        ("QMAILQUEUE=/nowhere forward bob", b"Kid", 111),
        ("forward", b"Kid", 0),
        ("condredirect bob true", b"Dno", 100),
        ("condredirect bob true", b"Zlater", 111),
        ("env -u SENDER condredirect bob true", b"Kid", 100),
        ("condredirect bob", b"Kid", 100),
        ("bouncesaying", b"Kid", 100),
        ("except", b"Kid", 100),
        ("preline", b"Kid", 100),
        ("preline -x cat", b"Kid", 100),
        ("qreceipt", b"Kid", 100),
    ],
)
def test_what_goes_wrong_has_an_exit_status(
    line, queue: RecordingQueue, command: str, answer: bytes, status: int
) -> None:
    """100: a mistake or a refusal; 111: not now."""
    queue.answer = answer
    done = line(command)
    assert done.returncode == status, done.stderr
    assert bool(done.stderr) == (status != 0)


def test_a_queue_that_does_not_run_defers(line) -> None:
    """The mailbox keeps its mail."""
    assert line("forward bob").returncode == 111


@pytest.mark.parametrize(
    ("program", "bouncesaying", "unless", "condredirect"),
    [
        ("true", 100, 100, 99),
        ("false", 0, 0, 0),
        ("sh -c 'exit 100'", 0, 0, 0),
        ("sh -c 'exit 99'", 0, 0, 0),
        ("sh -c 'exit 111'", 111, 111, 111),
        ("sh -c 'kill -9 $$'", 111, 111, 111),
        ("no-such-program", 0, 0, 0),
        ("grep -q hello", 100, 100, 99),
        ("grep -q elephant", 0, 0, 0),
        ("sh -c 'cat >/dev/null; exit 0'", 100, 100, 99),
    ],
)
def test_a_program_judges_the_message(
    line, queue: RecordingQueue, program: str, bouncesaying: int, unless: int, condredirect: int
) -> None:
    """0 is yes, 111 is later, all else is no; a program that is not there says no."""
    done = line(f"bouncesaying 'not wanted' {program}")
    assert (done.returncode, done.stdout) == (bouncesaying, b"not wanted\n" if bouncesaying == 100 else b"")
    assert line(f"except {program}").returncode == unless
    assert queue.messages == []
    assert line(f"condredirect bob@far.example {program}").returncode == condredirect
    assert len(queue.messages) == (condredirect == 99)


def test_bouncesaying_without_a_program_bounces_all(line) -> None:
    """An address that is given up."""
    assert line("bouncesaying 'alice has moved'").returncode == 100


def test_condredirect_keeps_the_sender_and_sends_the_whole_message(line, queue: RecordingQueue) -> None:
    """The judge has read it; it is rewound."""
    assert line("condredirect bob@far.example grep -q hello").stdout == b"condredirect: qp id1\n"
    (message,) = queue.messages
    assert (message.sender, message.recipients) == (b"sender@far.example", [b"bob@far.example"])
    assert message.content == b"Delivered-To: alice@example.org\n" + LETTER


def test_condredirect_on_a_pipe_defers_instead_of_losing_what_was_read(line, queue: RecordingQueue) -> None:
    """A pipe can't be rewound."""
    assert line("condredirect bob grep -q hello", piped=True).returncode == 111
    assert queue.messages == []


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ("", ("UFLINE", "RPLINE", "DTLINE")),
        ("-f", ("RPLINE", "DTLINE")),
        ("-r", ("UFLINE", "DTLINE")),
        ("-d", ("UFLINE", "RPLINE")),
        ("-frd", ()),
        ("-frdF", ("UFLINE",)),
    ],
)
def test_preline_puts_the_mailbox_lines_first(line, options: str, lines: tuple[str, ...]) -> None:
    """Each can be left out."""
    done = line(f"preline {options} cat")
    assert done.stdout == "".join(DELIVERY[name] for name in lines).encode() + LETTER


def test_preline_needs_only_the_variables_it_writes(line) -> None:
    """The others may be missing."""
    assert line("env -u UFLINE preline cat").returncode == 100
    assert line("env -u UFLINE preline -f cat").returncode == 0


@pytest.mark.parametrize(
    ("program", "status"),
    [("sh -c 'cat >/dev/null; exit 7'", 7), ("true", 0), ("sh -c 'kill -9 $$'", 111), ("no-such-program", 100)],
)
def test_preline_has_the_programs_exit_status(line, tmp_path: Path, program: str, status: int) -> None:
    """Also when it does not read the message to its end."""
    (tmp_path / "message").write_bytes(LETTER * 50_000)
    assert line(f"preline {program}").returncode == status


# -- qreceipt ---------------------------------------------------------------------------

ASKING = (
    b"Message-ID: <1@far.example>\nNotice-Requested-Upon-Delivery-To: bob@b.c, Alice <alice@example.org>\n\nhello\n"
)


def test_qreceipt_tells_a_sender_who_asks(line, queue: RecordingQueue, tmp_path: Path) -> None:
    """From the null sender, in answer to the message."""
    (tmp_path / "message").write_bytes(ASKING)
    assert line("qreceipt alice@example.org").returncode == 0
    (message,) = queue.messages
    assert (message.sender, message.recipients) == (b"", [b"sender@far.example"])
    header, _, body = message.content.partition(b"\n\n")
    assert b"\nTo: <sender@far.example>\n" in header
    assert b"\nIn-Reply-To: <1@far.example>" in header
    assert b"alice@example.org" in body


@pytest.mark.parametrize(
    ("text", "address", "sender"),
    [
        (LETTER, "alice@example.org", "s@far.example"),
        (ASKING, "carol@example.org", "s@far.example"),
        (ASKING, "alice@example.org", ""),
        (ASKING, "alice@example.org", "#@[]"),
        (ASKING, "alice@example.org", "s\nBcc: x@far.example"),
        (ASKING.replace(b"<alice", b"<<alice"), "alice@example.org", "s@far.example"),
        (b"\n" + ASKING, "alice@example.org", "s@far.example"),
    ],
)
def test_qreceipt_is_silent_otherwise(
    line, queue: RecordingQueue, tmp_path: Path, text: bytes, address: str, sender: str
) -> None:
    """Nobody asked, somebody else was asked about, or nobody could be told."""
    (tmp_path / "message").write_bytes(text)
    assert line(f"qreceipt {address}", SENDER=sender).returncode == 0
    assert queue.messages == []


@pytest.mark.parametrize(("answer", "status"), [(b"Dno", 100), (b"Zno", 111)])
def test_qreceipt_fails_as_the_queue_does(
    line, queue: RecordingQueue, tmp_path: Path, answer: bytes, status: int
) -> None:
    """A notice that can't be queued now is tried again with the delivery."""
    queue.answer = answer
    (tmp_path / "message").write_bytes(ASKING)
    assert line("qreceipt alice@example.org").returncode == status


@given(
    st.binary(max_size=60), st.binary(max_size=20), st.binary(max_size=20).filter(lambda sender: b"\n" not in sender)
)
def test_any_request_gives_one_header_or_none(value: bytes, address: bytes, sender: bytes) -> None:
    """What strangers write can't add a field to the notice."""
    fields = [b"Notice-Requested-Upon-Delivery-To: " + value, b"Message-ID: " + value]
    assert asked(fields, address) in (True, False)
    header = notice(fields, b"alice@example.org", sender, 0, 1).partition(b"\n\n")[0]
    assert len(header.split(b"\n")) == 7
