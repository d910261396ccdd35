"""qmail-queue: two descriptors in, an exit status out; and what injectors make of such a program."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inject_parts import BIN, Command, RecordingQueue

from appliance import envelope
from appliance.errors import Permanent, Temporary
from appliance.inject.qmail_queue import Stop, read_envelope
from appliance.injection import verdict
from appliance.state import State

TEXT = b"Subject: x\n\nhello"


def call(state: State, text: bytes | None, letter: bytes | None) -> subprocess.CompletedProcess[bytes]:
    """Run qmail-queue with pipes on both descriptors; None: the descriptor is closed."""
    addresses, addresses_in = os.pipe()

    def write() -> None:
        if letter is not None:
            try:
                os.write(addresses_in, letter)
            except BrokenPipeError:
                return
            finally:
                os.close(addresses_in)

    writer = threading.Thread(target=write)
    writer.start()
    closing = (" 0<&-" if text is None else "") + (" 1>&-" if letter is None else "")
    done = subprocess.run(
        ["sh", "-c", 'exec "$0"' + closing, BIN / "qmail-queue"],
        check=False,
        input=text,
        stdout=addresses,  # it reads there
        stderr=subprocess.PIPE,
        env={"PAPERPATH_STATE": str(state.root)},
        timeout=60,
    )
    os.close(addresses)
    writer.join()
    if letter is None:
        os.close(addresses_in)
    return done


@pytest.mark.parametrize(
    ("letter", "sender", "recipients"),
    [
        (b"Fjoe@a.b\0Talice@c.d\0Tbob\0\0", b"joe@a.b", [b"alice@c.d", b"bob"]),
        (b"F\0Talice@c.d\0\0", b"", [b"alice@c.d"]),
        (b"Fjoe@a.b\0Ta@c.d\0\0what follows is not looked at", b"joe@a.b", [b"a@c.d"]),
        (b"F" + b"s" * 1002 + b"\0T" + b"r" * 1002 + b"\0\0", b"s" * 1002, [b"r" * 1002]),
        (b"Fjoe\nblow\0T\xff @\0\0", b"joe\nblow", [b"\xff @"]),
    ],
)
def test_a_message_and_its_envelope_are_queued(
    state: State, queue: RecordingQueue, letter: bytes, sender: bytes, recipients: list[bytes]
) -> None:
    """Byte for byte: addresses are not looked into, the message gets no line end."""
    assert call(state, TEXT, letter).returncode == 0
    (message,) = queue.messages
    assert (message.sender, message.recipients, message.content) == (sender, recipients, TEXT)


def test_trap_16_no_recipients_are_queued_all_the_same(state: State, queue: RecordingQueue) -> None:
    """Zero recipients are valid everywhere."""
    assert call(state, TEXT, b"Fjoe@a.b\0\0").returncode == 0
    assert queue.messages[0].recipients == []


def test_a_large_message_streams_and_its_envelope_comes_last(state: State, queue: RecordingQueue) -> None:
    """As the two descriptors have it."""
    text = b"0123456789abcde\n" * 100_000
    assert call(state, text, b"Fjoe@a.b\0Talice@c.d\0\0").returncode == 0
    (message,) = queue.messages
    assert message.large
    assert message.content == text
    assert message.recipients == [b"alice@c.d"]


@pytest.mark.parametrize(
    ("text", "letter", "status", "why"),
    [
        (TEXT, b"F" + b"s" * 1003 + b"\0T\0\0", 11, "a sender of more than 1002 bytes"),
        (TEXT, b"Fs\0T" + b"r" * 1003 + b"\0\0", 11, "a recipient of more than 1002 bytes"),
        (TEXT, b"Fs\0T" + b"r" * 40_000, 11, "one without end"),
        (TEXT, b"Fs\0" + b"Tr@example.org\0" * 400_000, 31, "more recipients than the queue takes at once"),
        (TEXT, b"", 54, "no envelope"),
        (TEXT, b"Fs\0Tr\0", 54, "an envelope without its last NUL"),
        (TEXT, b"Fs\0Tr", 54, "one that breaks off in an address"),
        (TEXT, None, 54, "descriptor 1 is closed"),
        (TEXT * 50_000, None, 54, "descriptor 1 is closed: it would be our own socket"),
        (None, b"Fs\0Tr\0\0", 54, "descriptor 0 is closed"),
        (TEXT, b"Xs\0Tr\0\0", 91, "no sender"),
        (TEXT, b"Fs\0Xr\0\0", 91, "neither a recipient nor the end"),
        (TEXT, b"\0\0", 91, "NULs alone"),
    ],
)
def test_what_cant_be_queued_has_an_exit_status(
    state: State, queue: RecordingQueue, text: bytes | None, letter: bytes | None, status: int, why: str
) -> None:
    """Those of qmail; nothing is left behind by any of them (qmail's 11 and 91 leave files: trap 15)."""
    done = call(state, text, letter)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(b"qmail-queue: fatal: ")
    assert queue.messages == []


def test_trap_15_envelope_errors_leave_nothing_in_the_queue(state: State, queue: RecordingQueue) -> None:
    """Not even after a large message was streamed there: its end never comes, and the queue forgets it."""
    for letter, status in ((b"F" + b"s" * 1003 + b"\0T\0\0", 11), (b"Xs\0\0", 91)):
        assert call(state, b"x" * 1_000_000, letter).returncode == status
    assert queue.messages == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"Kid", 0), (b"Dno", 31), (b"Zlater", 71), (b"what?", 71), (None, 71)],
)
def test_the_queues_answer_is_the_exit_status(
    state: State, queue: RecordingQueue, answer: bytes | None, status: int
) -> None:
    """What it says that nobody knows, and its death, are temporary."""
    queue.answer = answer
    assert call(state, TEXT, b"Fs\0Tr\0\0").returncode == status


def test_a_queue_that_dies_halfway_is_temporary(state: State, queue: RecordingQueue) -> None:
    """The message is not half there."""
    queue.deaf = 500_000
    assert call(state, b"x" * 3_000_000, b"Fs\0Tr\0\0").returncode == 71
    assert queue.messages == []


def test_a_queue_that_does_not_run_is_temporary(state: State) -> None:
    """71, and a text that says where it was looked for."""
    done = call(state, TEXT, b"Fs\0Tr\0\0")
    assert done.returncode == 71
    assert b"cannot queue" in done.stderr
    (state.tokens / "inject").unlink()
    assert str(state.root).encode() in call(state, TEXT, b"Fs\0Tr\0\0").stderr


@given(st.binary(max_size=100), st.lists(st.integers(0, 100), max_size=4))
def test_any_envelope_is_read_or_has_an_exit_status(data: bytes, cuts: list[int]) -> None:
    """However it is cut into pieces, as the queue itself would read it."""
    cuts = sorted(min(cut, len(data)) for cut in cuts)
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    try:
        found = read_envelope(iter(pieces))
    except Stop as stop:
        known = stop.status in (11, 54, 91)
    else:
        known = found == envelope.decode(data)[0]
    assert known


addresses = st.binary(max_size=30).filter(lambda address: b"\0" not in address)


@given(addresses, st.lists(addresses, max_size=5))
def test_every_envelope_is_read_back(sender: bytes, recipients: list[bytes]) -> None:
    """Any bytes but NUL."""
    assert read_envelope(iter([envelope.encode(sender, recipients)])) == (sender, tuple(recipients))


# -- programs in qmail-queue's place -----------------------------------------------------


def wrapper(folder: Path, script: str) -> str:
    """A program for $QMAILQUEUE."""
    path = folder / "wrapper"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_trap_36_qmailqueue_is_a_bare_path(run: Command, queue: RecordingQueue, tmp_path: Path) -> None:
    """No arguments, no search by PATH; it starts in the state folder, and may hand on to the real one."""
    told = tmp_path / "told"
    program = wrapper(tmp_path, f'echo "$# $PWD" >{told}; exec qmail-queue')
    assert run("qmail-inject", "-f", "joe@a.b", "alice@c.d", text=TEXT, QMAILQUEUE=program).returncode == 0
    assert told.read_text() == f"0 {tmp_path}/state\n"
    assert queue.messages[0].recipients == [b"alice@c.d"]
    assert queue.messages[0].sender == b"joe@a.b"
    assert run("qmail-inject", "alice@c.d", text=TEXT, QMAILQUEUE="qmail-queue").returncode == 111
    assert run("qmail-inject", "alice@c.d", text=TEXT, QMAILQUEUE=f"{program} -x").returncode == 111
    assert len(queue.messages) == 1


def test_a_wrapper_may_change_the_message(run: Command, queue: RecordingQueue, tmp_path: Path) -> None:
    """It reads descriptors 0 and 1 as qmail-queue does."""
    program = wrapper(tmp_path, "{ echo X-Seen: yes; cat; } | qmail-queue")
    run("sendmail", "alice@c.d", text=TEXT, QMAILQUEUE=program)
    assert queue.messages[0].content.startswith(b"X-Seen: yes\n")


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        ("cat >/dev/null; cat <&1 >/dev/null; exit 31", 100, b"refuses this message"),
        ("exit 20", 100, b"refuses this message"),
        ("exit 11", 100, b"address is too long"),
        ("exit 53", 111, b"disk is full"),
        ("exit 71", 111, b"puts this message off"),
        ("exit 91", 111, b"malformed"),
        ("exit 120", 111, b"started"),
        ("exit 99", 111, b"it failed"),
        ("kill -9 $$", 111, b"killed"),
        ("exit 0", 111, b"did not read the whole message"),
        ("echo 'Dspam, go away (#5.7.1)' >&6; exit 82", 100, b"spam, go away (#5.7.1)"),
        ("echo 'Zgreylisted' >&6; exit 82", 111, b"greylisted"),
        ("printf D >&6; exit 82", 111, b"it failed"),
        ("exit 82", 111, b"it failed"),
        ("head -c 1000 /dev/zero | tr '\\0' D >&6; exit 82", 100, b"D" * 254 + b" "),
    ],
)
def test_what_a_wrapper_says_by_its_exit_status(
    run: Command, state: State, tmp_path: Path, script: str, status: int, text: bytes
) -> None:
    """11 to 40 are permanent, 82 has a text of its own on descriptor 6, all else is temporary."""
    done = run("qmail-inject", "alice@c.d", text=TEXT + b"x" * 200_000, QMAILQUEUE=wrapper(tmp_path, script))
    assert done.returncode == status
    assert text in done.stderr.replace(b"\n", b" ")


def test_a_message_that_turns_out_unreadable_gives_the_wrapper_no_envelope(
    run: Command, state: State, tmp_path: Path
) -> None:
    """Then it can queue nothing."""
    told = tmp_path / "told"
    program = wrapper(tmp_path, f"cat >/dev/null; wc -c <&1 >{told}; exit 54")
    data = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nDATA\r\nbare\nLF\r\n.\r\n"
    assert b"550 5.6.0" in run("sendmail", "-bs", text=data, QMAILQUEUE=program).stdout
    assert told.read_text().strip() == "0"


@pytest.mark.parametrize("status", [0, *range(1, 130), None])
def test_every_exit_status_has_a_meaning(status: int | None) -> None:
    """The table of qmail-queue, as a caller reads it."""
    outcome = verdict(status, b"", whole=True)
    permanent = status is not None and (11 <= status <= 40 or status == 115)
    expected = type(None) if status == 0 else Permanent if permanent else Temporary
    assert type(outcome) is expected
