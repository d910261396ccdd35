"""sendmail as the world's programs call it: its flags, its other names, SMTP on stdin."""

import contextlib
import io
import mailbox
import re
import smtplib
import socket
import subprocess
import threading
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inject_parts import BIN, Command, RecordingQueue, make_state

from appliance import users
from appliance.control import Control
from appliance.inject.smtp import GoneError, Session
from appliance.state import State

LETTER = b"To: alice@example.org\nCc: bob\nSubject: hi\n\nhello\n"


@pytest.mark.parametrize(
    ("words", "sender", "recipients"),
    [
        (["carol@c.d"], b"joe@host.dom", [b"carol@c.d"]),
        (["-t"], b"joe@host.dom", [b"alice@example.org", b"bob@host.dom"]),
        (["-t", "carol"], b"joe@host.dom", [b"carol@host.dom", b"alice@example.org", b"bob@host.dom"]),
        (["-ti"], b"joe@host.dom", [b"alice@example.org", b"bob@host.dom"]),
        (["-f", "x@y.z", "carol"], b"x@y.z", [b"carol@host.dom"]),
        (["-fx@y.z", "carol"], b"x@y.z", [b"carol@host.dom"]),
        (["-r", "x@y.z", "carol"], b"x@y.z", [b"carol@host.dom"]),
        (["-fx", "carol"], b"x@host.dom", [b"carol@host.dom"]),
        (["-f", "<>", "carol"], b"", [b"carol@host.dom"]),
        (["-f", "", "carol"], b"", [b"carol@host.dom"]),
        (["-oi", "-oem", "-o", "db", "-v", "-m", "-x", "-E", "-J", "carol"], b"joe@host.dom", [b"carol@host.dom"]),
        (["-em", "-p", "x", "-B8BITMIME", "-N", "never", "carol"], b"joe@host.dom", [b"carol@host.dom"]),
        (["-bm", "-i", "--", "-carol"], b"joe@host.dom", [b"-carol@host.dom"]),
        ([], b"joe@host.dom", []),
    ],
)
def test_flags_name_sender_and_recipients(
    run: Command, queue: RecordingQueue, words: list[str], sender: bytes, recipients: list[bytes]
) -> None:
    """Those that tune sendmail itself are taken and mean nothing."""
    done = run("sendmail", *words, text=LETTER)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (queue.messages[0].sender, queue.messages[0].recipients) == (sender, recipients)


@pytest.mark.parametrize(
    ("words", "author"),
    [
        (["-f", "x@y.z"], b"From: x@y.z"),
        (["-f", "x"], b"From: x@host.dom"),
        (["-F", "Fred"], b'From: "Fred" <joe@name.host>'),
        (["-f", "x@y.z", "-F", "Fred"], b'From: "Fred" <x@y.z>'),
        (["-FFred", "-fx@y.z"], b'From: "Fred" <x@y.z>'),
        ([], b'From: "Joe" <joe@name.host>'),
    ],
)
def test_the_writer_is_who_the_flags_name(run: Command, queue: RecordingQueue, words: list[str], author: bytes) -> None:
    """-f puts the person of the environment aside."""
    run("sendmail", *words, "carol", text=b"\n", QMAILNAME="Joe", QMAILHOST="name.host")
    assert author + b"\n" in queue.messages[0].content


@pytest.mark.parametrize(
    ("words", "why"),
    [(["-bt"], b"-bt"), (["-bi"], b"-bi"), (["-Z"], b"no option -Z"), (["-f"], b"needs a value"), (["-q"], b"-q")],
)
def test_what_is_not_done_exits_100(run: Command, queue: RecordingQueue, words: list[str], why: bytes) -> None:
    """With the usage."""
    done = run("sendmail", *words, text=LETTER)
    assert done.returncode == 100
    assert why in done.stderr
    assert b"usage: sendmail" in done.stderr
    assert queue.messages == []


def test_a_dot_alone_ends_nothing(run: Command, queue: RecordingQueue) -> None:
    """With or without -i: the message ends where its file ends."""
    run("sendmail", "carol", text=b"Subject: x\n\n.\nmore\n")
    assert queue.messages[0].content.endswith(b"\n\n.\nmore\n")


def test_newaliases_says_where_aliases_are(run: Command) -> None:
    """Under that name, and as a link to sendmail."""
    assert run("newaliases").returncode == 100
    assert b"YAML" in run("newaliases").stderr


def test_mailq_asks_qmail_qread(run: Command, state: State) -> None:
    """-bp and mailq are the same; with an empty queue they print nothing."""
    for words in (["mailq"], ["sendmail", "-bp"]):
        done = run(*words)
        assert (done.returncode, done.stdout) in ((0, b""), (111, b"")), done
        assert b"usage" not in done.stderr


def test_a_link_decides_by_its_name(state: State, tmp_path, queue: RecordingQueue) -> None:
    """/usr/lib/sendmail, /usr/bin/mailq and newaliases are links to one program."""
    for name in ("sendmail", "newaliases"):
        (tmp_path / name).symlink_to(BIN / "sendmail")
    environ = {"PAPERPATH_STATE": str(state.root), "USER": "joe"}
    sent = subprocess.run([tmp_path / "sendmail", "carol"], input=LETTER, env=environ, check=False)
    assert sent.returncode == 0
    assert subprocess.run([tmp_path / "newaliases"], env=environ, check=False, capture_output=True).returncode == 100
    assert len(queue.messages) == 1


# -- sendmail -bs -----------------------------------------------------------------------


class Piped(smtplib.SMTP):
    """Python's SMTP client, talking to `sendmail -bs` by a pair of sockets on its stdin and stdout."""

    def __init__(self, state: State, **variables: str) -> None:
        ours, theirs = socket.socketpair()
        environ = {"PAPERPATH_STATE": str(state.root), **variables}
        self.process = subprocess.Popen([BIN / "sendmail", "-bs"], stdin=theirs, stdout=theirs, env=environ)
        theirs.close()
        self._ours = ours
        super().__init__("here", 25, local_hostname="client.example", timeout=20)

    def _get_socket(self, *_):
        return self._ours

    def close(self) -> None:
        super().close()
        if hasattr(self, "process"):
            self._ours.close()
            assert self.process.wait(20) == 0


def test_python_sends_by_smtp_on_a_pipe(state: State, queue: RecordingQueue) -> None:
    """Two messages in one session, to anybody: who runs it may relay."""
    letter = EmailMessage()
    letter["Subject"] = "hi"
    letter.set_content("hello\n.\n..dots\n")
    with Piped(state) as client:
        client.send_message(letter, "joe@a.b", ["alice@example.org", "bob@elsewhere.example"])
        client.send_message(letter, "", ["carol@c.d"])
    first, second = queue.messages
    assert (first.sender, first.recipients) == (b"joe@a.b", [b"alice@example.org", b"bob@elsewhere.example"])
    assert first.content.startswith(
        b"Received: from localhost (HELO client.example) (sendmail-bs@127.0.0.1)\n  by mx.example.org with SMTP; "
    )
    assert first.content.endswith(b"\n\nhello\n.\n..dots\n")
    assert (second.sender, second.recipients) == (b"", [b"carol@c.d"])


def dialogue(run: Command, *lines: bytes, **variables: str) -> list[bytes]:
    """The replies to lines that are sent all at once."""
    return run("sendmail", "-bs", text=b"".join(lines), **variables).stdout.split(b"\r\n")[:-1]


MAIL = (b"MAIL FROM:<joe@a.b> SIZE=10 BODY=8BITMIME\r\n", b"RCPT TO:<alice@c.d>\r\n", b"DATA\r\n")


def test_a_pipelined_session(run: Command, queue: RecordingQueue) -> None:
    """Each command has its reply."""
    replies = dialogue(
        run,
        b"HELO x\r\n", b"NOOP\r\n", b"VRFY joe\r\n", b"HELP\r\n", b"what?\r\n", b"RCPT TO:<a>\r\n", b"DATA\r\n",
        b"MAIL FROM:<joe\r\n", b"MAIL joe\r\n", *MAIL[:1], b"RCPT TO:<>>\r\n", b"RCPT\r\n", b"RSET\r\n",
        b"mail from:joe@a.b\n", b"rcpt to: <@x:alice@c.d>\r\n", b"data\r\n", b"text\r\n.\r\n", b"quit\r\n", b"NOOP\r\n",
    )  # fmt: skip
    codes = [int(reply[:3]) for reply in replies]
    assert codes == [220, 250, 250, 252, 214, 502, 503, 503, 501, 501, 250, 250, 501, 250, 250, 250, 354, 250, 221]
    assert queue.messages[0].recipients == [b"alice@c.d"]


@pytest.mark.parametrize(
    ("text", "reply", "why"),
    [
        (b"a\nb\r\n.\r\n", b"550 5.6.0", "a bare LF"),
        (b"a\rb\r\n.\r\n", b"550 5.6.0", "a bare CR"),
        (b"a\r\n.\nb\r\n.\r\n", b"550 5.6.0", "a dot before a bare LF ends nothing (SMTP smuggling)"),
        (b"a\n.\r\nMAIL FROM:<x@y.z>\r\n.\r\n", b"550 5.6.0", "nor after one"),
        (b"x" * 200_000 + b"\n" + b"y\r\n.\r\n", b"550 5.6.0", "in a large message, which is dropped"),
        (b"x" * 65535 + b"\r\ny\r\n.\r\n", b"250 2.0.0", "a CRLF across two pieces is one"),
        (b"..\r\n.x\r\n.\r\n", b"250 2.0.0", "dots are taken away"),
        (b".\r\n", b"250 2.0.0", "an empty message"),
    ],
)
def test_a_message_ends_at_crlf_dot_crlf_only(
    run: Command, queue: RecordingQueue, text: bytes, reply: bytes, why: str
) -> None:
    """What could be read in two ways is refused, after its end."""
    replies = dialogue(run, b"EHLO x\r\n", *MAIL, text, b"QUIT\r\n")
    assert replies[-2].startswith(reply)
    assert replies[-1].startswith(b"221 ")
    assert len(queue.messages) == (reply[:1] == b"2")


@pytest.mark.parametrize(
    ("answer", "reply"), [(b"Dno", b"554 5.3.0 no"), (b"Zfull", b"451 4.3.0"), (None, b"451 4.3.0")]
)
def test_the_queues_refusal_is_told_after_the_message(
    run: Command, queue: RecordingQueue, answer: bytes | None, reply: bytes
) -> None:
    """Small or large; the session goes on."""
    queue.answer = answer
    for size in (10, 500_000):
        replies = dialogue(run, b"HELO x\r\n", *MAIL, b"x" * size + b"\r\n.\r\n", b"NOOP\r\n", b"QUIT\r\n")
        assert replies[-3].startswith(reply)
        assert replies[-2].startswith(b"250 ")


def test_a_client_that_goes_away_in_its_message_queues_nothing(run: Command, queue: RecordingQueue) -> None:
    """What was not ended was not sent."""
    assert dialogue(run, b"HELO x\r\n", *MAIL, b"x" * 500_000)[-1].startswith(b"354 ")
    assert dialogue(run, b"HELO x\r\n", *MAIL, b"x\r\n")[-1].startswith(b"354 ")
    assert queue.messages == []


def test_a_command_line_has_an_end(run: Command, queue: RecordingQueue) -> None:
    """Memory is bounded."""
    assert dialogue(run, b"x" * 10_000)[-1].startswith(b"500 ")


@pytest.mark.parametrize(
    ("variables", "sender", "recipient", "reply"),
    [
        ({}, b"joe@a.b", b"<x@elsewhere.example>", b"250"),
        ({}, b"joe@spam.example", b"<nobody@example.org>", b"250"),
        ({"PROTO": "TCP"}, b"joe@a.b", b"<x@elsewhere.example>", b"550 5.7.1"),
        ({"PROTO": "TCP"}, b"joe@a.b", b"<alice@example.org>", b"250"),
        ({"PROTO": "TCP"}, b"joe@a.b", b"<nobody@example.org>", b"550 5.1.1"),
        ({"PROTO": "TCP"}, b"joe@spam.example", b"<alice@example.org>", b"553 5.7.1"),
        ({"PROTO": "TCP", "RELAYCLIENT": ""}, b"joe@a.b", b"<x@elsewhere.example>", b"250"),
        ({"PROTO": "TCP", "RELAYCLIENT": "@r"}, b"joe@a.b", b"<nobody@example.org>", b"250"),
        ({"PROTO": "TCP", "RELAYCLIENT": ""}, b"joe@spam.example", b"<x@elsewhere.example>", b"553 5.7.1"),
    ],
)
def test_behind_a_network_server_it_is_no_open_relay(
    run: Command, state: State, variables: dict[str, str], sender: bytes, recipient: bytes, reply: bytes
) -> None:
    """Tcpserver sets PROTO; then smtpd's policy decides, and RELAYCLIENT is leave to send to the world."""
    ours(state)
    commands = (b"MAIL FROM:<" + sender + b">\r\n", b"RCPT TO:" + recipient + b"\r\n")
    assert dialogue(run, b"HELO x\r\n", *commands, b"QUIT\r\n", **variables)[3].startswith(reply)


def ours(state: State) -> None:
    """alice@example.org is a mailbox of ours; nobody likes spam.example."""
    control = {"rcpthosts": "example.org", "virtualdomains": "example.org:example.org", "badmailfrom": "@spam.example"}
    for name, line in control.items():
        (state.generation / "control" / name).write_text(line + "\n")
    (state.generation / "users").mkdir()
    (state.generation / "users" / "cdb").write_bytes(users.build(b"=example.org-alice:alice:1:1:mail/a:::\n.\n"))


def test_what_can_not_be_looked_up_is_temporary(run: Command, state: State) -> None:
    """Nobody is refused for good because a file is damaged."""
    ours(state)
    cdb = state.generation / "users" / "cdb"
    record = b"!example.org-alice\0alice\0" + b"1\0"
    assert record in cdb.read_bytes()
    cdb.write_bytes(cdb.read_bytes().replace(record, record[:-1] + b"x"))
    commands = (b"MAIL FROM:<>\r\n", b"RCPT TO:<alice@example.org>\r\n")
    replies = dialogue(run, b"HELO x\r\n", *commands, b"QUIT\r\n", PROTO="TCP")
    assert replies[3].startswith(b"451 4.3.0")


def test_behind_a_network_server_the_trace_names_the_client(run: Command, state: State, queue: RecordingQueue) -> None:
    """By tcpserver's words: TCPREMOTEIP, and TCPREMOTEINFO if the client's host told."""
    ours(state)
    to_alice = (MAIL[0], b"RCPT TO:<alice@example.org>\r\n", MAIL[2], b".\r\n", b"QUIT\r\n")
    for variables, client in (({}, b"192.0.2.7"), ({"TCPREMOTEINFO": "joe"}, b"joe@192.0.2.7")):
        dialogue(run, b"HELO x\r\n", *to_alice, PROTO="TCP", TCPREMOTEIP="192.0.2.7", **variables)
        assert queue.messages[-1].content.startswith(b"Received: from unknown (HELO x) (%b)\n  by mx.ex" % client)


def test_a_message_that_loops_is_refused(run: Command, queue: RecordingQueue) -> None:
    """By its trace lines, as at the port."""
    for count, reply in ((99, b"250"), (100, b"554 5.4.6")):
        text = b"Received: x\r\n" * count + b"\r\nReceived: in the body\r\n.\r\n"
        assert dialogue(run, b"HELO x\r\n", *MAIL, text, b"QUIT\r\n")[-2].startswith(reply)
    assert len(queue.messages) == 1


def test_trap_25_relayclient_is_appended_to_each_recipient(run: Command, queue: RecordingQueue) -> None:
    """Its value, not only its presence."""
    dialogue(run, b"HELO x\r\n", *MAIL, b".\r\n", b"QUIT\r\n", PROTO="TCP", RELAYCLIENT="@relay.example")
    assert queue.messages[0].recipients == [b"alice@c.d@relay.example"]


@pytest.mark.parametrize(
    ("variables", "control", "accepted"),
    [
        ({}, "5", True),
        ({"PROTO": "TCP"}, "5", False),
        ({"PROTO": "TCP"}, "6", True),
        ({"PROTO": "TCP", "DATABYTES": "0"}, "5", True),
        ({"PROTO": "TCP", "DATABYTES": "5"}, "0", False),
    ],
)
def test_databytes_is_for_the_network(
    run: Command, state: State, queue: RecordingQueue, variables: dict[str, str], control: str, accepted: bool
) -> None:
    """Bytes of the message with LF ends; a large one is read to its end without being kept."""
    (state.generation / "control" / "databytes").write_text(control)
    for more in (b"", b"x" * 500_000 + b"\r\n") if not accepted else (b"",):
        replies = dialogue(
            run, b"HELO x\r\n", *MAIL, more + b"a\r\n..b\r\n\r\n.\r\n", b"QUIT\r\n", RELAYCLIENT="", **variables
        )
        assert replies[-2].startswith(b"250 " if accepted else b"552 5.3.4")
    assert len(queue.messages) == accepted


def test_an_mbox_piped_in_keeps_its_first_line(run: Command, queue: RecordingQueue, tmp_path) -> None:
    """As a field, where it can break nothing."""
    box = mailbox.mbox(tmp_path / "mbox")
    box.add(LETTER)
    box.close()
    assert run("sendmail", "-t", text=(tmp_path / "mbox").read_bytes()).returncode == 0
    assert b"MBOX-Line: From MAILER-DAEMON " in queue.messages[0].content


@pytest.fixture(scope="module")
def dead_state(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A state folder with a configuration, and no queue."""
    return make_state(tmp_path_factory.mktemp("dead"))


PIECES = [
    b"EHLO x\r\n",
    b"MAIL FROM:",
    b"RCPT TO:",
    b"<a@b.c>",
    b"\r\n",
    b"\n",
    b"\r",
    b"DATA\r\n",
    b".\r\n",
    b"x",
    b'"',
    b"<",
    b"\0",
]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=10), max_size=40).map(b"".join))
@example(b"MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n.\r\n.\r\n.\r\n")
def test_any_dialogue_gets_replies_and_queues_nothing_half(dead_state: State, dialogue: bytes) -> None:
    """Whatever is said, replies are well formed, and without a queue no message is ever taken."""
    answers = io.BytesIO()
    with contextlib.suppress(GoneError):
        Session(io.BytesIO(dialogue), answers, dead_state, Control(dead_state).current(), {}).run()
    lines = answers.getvalue().split(b"\r\n")
    assert lines.pop() == b""
    assert all(re.fullmatch(rb"[2-5]\d\d[ -][ -~]*", line) for line in lines)
    assert not any(line.startswith(b"250 2.0.0 ok ") for line in lines)


def test_two_at_the_same_time(run: Command, queue: RecordingQueue) -> None:
    """As cron likes it."""
    threads = [threading.Thread(target=run, args=("sendmail", "-t"), kwargs={"text": LETTER}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(queue.messages) == 4
