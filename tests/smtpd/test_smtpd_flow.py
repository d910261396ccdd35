"""A message's way through smtpd into the queue."""

import random
import shutil
import smtplib
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from smtpd_program import Smtpd, generation

from appliance.listener import listen

LINE = b"x" * 998 + b"\r\n"


def test_a_message_from_smtplib_reaches_the_queue_with_its_trace(smtpd):
    """What a client sends stands in the queue behind one Received field, LF inside."""
    with smtplib.SMTP("127.0.0.1", smtpd.port, local_hostname="client.example") as client:
        client.sendmail("sender@example.net", ["alice@example.org"], "Subject: hello\r\n\r\n.dot\r\nbody\r\n")
    [(sender, recipients, content)] = smtpd.queue.messages
    trace, rest = content.split(b"\n", 2)[:2], content.split(b"\n", 2)[2]
    assert (sender, recipients) == (b"sender@example.net", (b"alice@example.org",))
    assert trace[0] == b"Received: from unknown (HELO client.example) (127.0.0.1)"
    assert trace[1].startswith(b"  by mx.example.org with ESMTP; ")
    assert rest == b"Subject: hello\n\n.dot\nbody\n"
    assert smtpd.wait_for("received")["message"] == "message1"


@pytest.mark.parametrize("smtpd", [{"databytes": "0\n"}], indirect=True)
def test_a_large_message_streams(smtpd):
    """30 MB reach the queue whole while smtpd stays small."""
    before = smtpd.forget_peak()
    with smtpd.connect() as client:
        client.begin()
        for _ in range(3000):
            client.send(LINE * 10)
        assert client.say(b".") == b"250 2.0.0 accepted message1"
    content = smtpd.queue.messages[0][2]
    assert content.split(b"\n", 2)[2] == (b"x" * 998 + b"\n") * 30000
    assert smtpd.memory() - before < 8 * 1024 * 1024


def test_a_client_that_vanishes_in_data_leaves_nothing(smtpd):
    """Nothing of a message without its end is queued, and the log says so."""
    with smtpd.connect() as client:
        client.begin()
        client.send(b"half a mess")
    assert "DATA" in smtpd.wait_for("session_ended")["reason"]
    assert smtpd.queue.messages == []


@pytest.mark.parametrize("smtpd", [{"databytes": "0\n"}], indirect=True)
def test_a_client_that_vanishes_in_a_large_message_leaves_nothing(smtpd):
    """The connection that a large message streams on is dropped before its end."""
    with smtpd.connect() as client:
        client.begin()
        client.send(LINE * 180)
        wait_until(lambda: smtpd.queue.connections == 2)
    smtpd.wait_for("session_ended")
    wait_until(lambda: smtpd.queue.dropped == 1)
    assert smtpd.queue.messages == []


def test_a_client_that_vanishes_before_the_answer_has_its_message_queued(smtpd):
    """The queue has it, so the log says received although nobody could be told."""
    with smtpd.connect() as client:
        client.begin()
        client.send(b"text\r\n.\r\n")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert smtpd.wait_for("received")["message"] == "message1"


def test_a_client_that_sends_byte_by_byte_is_understood(smtpd):
    """How the network cuts a conversation changes nothing."""
    wire = TO_DATA + b"..a\r\n.\r\nQUIT\r\n"
    with smtpd.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire:
            client.send(bytes([byte]))
        codes = []
        while line := client.line():
            codes.append(line[:4])
    assert codes == [b"220 ", b"250 ", *[b"250-"] * 4, b"250 ", b"250 ", b"250 ", b"354 ", b"250 ", b"221 "]
    assert smtpd.queue.messages[0][2].endswith(b"\n.a\n")


def test_the_queue_may_restart_between_messages(smtpd):
    """While the queue is away clients hear 451; when it is back mail flows without a restart of smtpd."""
    with smtpd.connect() as client:
        client.begin()
        smtpd.queue.stop()
        assert client.say(b"text\r\n.")[:9] == b"451 4.3.0"
        smtpd.queue.start()
        client.say(b"MAIL FROM:<>")
        client.say(b"RCPT TO:<alice@example.org>")
        client.say(b"DATA")
        assert client.say(b"text\r\n.")[:3] == b"250"
    assert smtpd.wait_for("refused")["reply"].startswith("451 4.3.0")


@pytest.mark.parametrize("smtpd", [{"databytes": "0\n"}], indirect=True)
def test_the_queue_may_go_away_under_a_large_message(smtpd):
    """The rest of the message is read and the client told 451, at the end where it listens."""
    with smtpd.connect() as client:
        client.begin()
        client.send(LINE * 1000)
        smtpd.queue.stop()
        client.send(LINE * 3000)
        assert client.say(b".")[:9] == b"451 4.3.0"
        assert client.say(b"NOOP")[:3] == b"250"


def test_sigterm_ends_idle_sessions_and_lets_a_message_finish(smtpd):
    """An orderly stop: the idle client hears 421, the one in DATA gets its 250 first, the status is 0."""
    with smtpd.connect() as idle, smtpd.connect() as busy:
        assert idle.reply()[:3] == b"220"
        busy.begin()
        smtpd.process.terminate()
        assert idle.line()[:9] == b"421 4.3.2"
        assert idle.line() == b""
        assert busy.say(b"text\r\n.")[:3] == b"250"
        assert busy.line()[:9] == b"421 4.3.2"
        assert busy.line() == b""
    assert smtpd.process.wait(60) == 0
    assert len(smtpd.queue.messages) == 1


def test_sigterm_does_not_wait_for_ever(smtpd):
    """A client that hangs in DATA delays the stop by five seconds at most."""
    with smtpd.connect() as client:
        client.begin()
        begun = time.monotonic()
        smtpd.process.terminate()
        assert smtpd.process.wait(60) == 0
        assert time.monotonic() - begun > 4
    assert smtpd.queue.messages == []


def test_a_new_generation_holds_for_the_next_session(smtpd):
    """A session keeps the configuration it began with; the next one has the new one."""
    with smtpd.connect() as old:
        old.reply()
        generation(smtpd.state, "two", {"me": "new.example.org\n"})
        with smtpd.connect() as new:
            assert new.reply() == b"220 new.example.org ESMTP"
        assert old.say(b"HELO c") == b"250 mx.example.org"


def test_a_generation_that_can_not_be_read_is_a_421(smtpd):
    """A configuration problem is temporary for the client, and the log has its cause once."""
    generation(smtpd.state, "two", {"relayfrom": "not a network\n"})
    for _ in range(3):
        with smtpd.connect() as client:
            assert client.line()[:9] == b"421 4.3.0"
            assert client.line() == b""
    generation(smtpd.state, "three", {})
    with smtpd.connect() as client:
        assert client.reply()[:3] == b"220"
    assert len([line for line in smtpd.log if line["event"] == "trouble"]) == 1


def test_new_listeners_end_the_program_for_a_restart(smtpd):
    """A program can't bind new ports, so it ends with status 0 and its supervisor starts it again."""
    generation(smtpd.state, "two", {"listen": "smtp:127.0.0.2:0\n"})
    assert smtpd.process.wait(60) == 0


def test_an_internal_error_is_temporary_and_hidden(smtpd):
    """A damaged file: the client is told to come back and learns nothing, the log has it all."""
    generation(smtpd.state, "two", {})
    cdb = smtpd.state.generations / "two" / "users" / "cdb"
    record = b"!example.org-alice\0alice\0" + b"1\0"
    data = cdb.read_bytes()
    assert record in data
    cdb.write_bytes(data.replace(record, record[:-1] + b"x"))
    with smtpd.connect() as client:
        client.reply()
        client.say(b"EHLO c")
        client.say(b"MAIL FROM:<>")
        assert client.say(b"RCPT TO:<alice@example.org>") == b"451 4.3.0 internal error, try again later"
        assert client.line() == b""
    assert "damaged" in smtpd.wait_for("trouble")["cause"]


def test_a_generation_removed_under_a_session_refuses_nobody_for_good(smtpd):
    """A session may outlive its generation's files; then it can't know who exists, which is temporary."""
    with smtpd.connect() as client:
        client.reply()
        client.say(b"EHLO c")
        client.say(b"MAIL FROM:<>")
        generation(smtpd.state, "two", {})
        shutil.rmtree(smtpd.state.generations / "one")
        assert client.say(b"RCPT TO:<team@example.org>")[:9] == b"451 4.3.0"


@pytest.mark.parametrize("smtpd", [{"maxsessions": "3\n"}], indirect=True)
def test_sessions_beyond_the_limit_are_told_to_come_back(smtpd):
    """The fourth of three sessions hears 421 4.7.0; when one leaves there is room again."""
    clients = [smtpd.connect() for _ in range(4)]
    assert [client.reply()[:9] for client in clients[:3]] == [b"220 mx.ex"] * 3
    assert clients[3].line()[:9] == b"421 4.7.0"
    assert clients[3].line() == b""
    assert clients[0].say(b"QUIT")[:3] == b"221"
    assert clients[0].line() == b""
    with smtpd.connect() as client:
        assert client.reply()[:3] == b"220"
    for client in clients:
        client.socket.close()


@pytest.mark.parametrize("smtpd", [{"maxsessionsperclient": "1\n"}], indirect=True)
def test_one_client_can_not_take_all_sessions(smtpd):
    """The limit for one address does not touch another address."""
    with smtpd.connect() as first, smtpd.connect() as second:
        assert first.reply()[:3] == b"220"
        assert second.line()[:9] == b"421 4.7.0"
        with socket.create_connection(("127.0.0.1", smtpd.port), source_address=("127.0.0.9", 0), timeout=30) as other:
            assert other.recv(3) == b"220"


@pytest.mark.parametrize(
    ("smtpd", "in_data"), [({"timeoutsmtpd": "1\n"}, False), ({"timeoutsmtpd": "0\n"}, True)], indirect=["smtpd"]
)
def test_a_client_that_hangs_is_told_goodbye(smtpd, in_data):
    """After timeoutsmtpd seconds of silence, one at least, the session ends with 421 4.4.2."""
    with smtpd.connect() as client:
        if in_data:
            client.begin()
            client.send(b"Subject: and then")
        else:
            client.reply()
        assert client.line()[:9] == b"421 4.4.2"
        assert client.line() == b""
    assert smtpd.wait_for("session_ended")["reason"].startswith("timeout")


@pytest.mark.parametrize("smtpd", [{"maxcommands": "1000000\n"}], indirect=True)
def test_a_client_that_does_not_read_is_not_read(smtpd):
    """Replies nobody takes do not pile up: smtpd stops reading, and answers all when it may."""
    count = 300_000
    before = smtpd.forget_peak()
    with smtpd.connect() as client:
        client.reply()
        sender = threading.Thread(target=client.send, args=(b"NOOP\r\n" * count,))
        sender.start()
        time.sleep(0.5)
        assert smtpd.memory() - before < 8 * 1024 * 1024
        for _ in range(count):
            assert client.line() == b"250 2.0.0 ok"
        sender.join()
        assert client.say(b"QUIT")[:3] == b"221"


def test_idle_sessions_are_small(smtpd):
    """A session that waits costs a few kilobytes."""
    before = smtpd.forget_peak()
    clients = [smtpd.connect() for _ in range(200)]
    for client in clients:
        client.reply()
        client.say(b"EHLO c")
    assert (smtpd.memory() - before) / len(clients) < 20_000
    for client in clients:
        client.socket.close()


def test_processes_share_a_port(smtpd, tmp_path):
    """Two programs listen on one port, and stopping one leaves the other."""
    other = Smtpd(tmp_path / "other", {"listen": f"smtp:127.0.0.1:{smtpd.port}\n"})
    assert other.port == smtpd.port
    assert other.stop() == 0
    for _ in range(10):
        with smtpd.connect() as client:
            assert client.reply()[:3] == b"220"


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
def test_swaks_is_served_with_pipelining(smtpd):
    """A client that everybody uses, once by the book and once pipelined."""
    for more in ((), ("--pipeline",)):
        command = ["swaks", "--server", "127.0.0.1", "--port", str(smtpd.port), "--to", "alice@example.org", *more]
        swaks = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert swaks.returncode == 0, swaks.stdout + swaks.stderr
    assert len(smtpd.queue.messages) == 2


def wait_until(true, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_queue_is_found_again_without_a_message(smtpd):
    """Smtpd keeps its connection to the queue, so that whoever asks the queue sees that it is alive."""
    wait_until(lambda: smtpd.queue.connections == 1)
    smtpd.queue.stop()
    smtpd.queue.start()
    wait_until(lambda: smtpd.queue.connections == 1)


def test_smtpd_waits_for_the_queue(smtpd):
    """Started before the queue, it begins to serve when the queue is there."""
    assert smtpd.stop() == 0
    threading.Timer(0.7, smtpd.queue.start).start()
    begun = time.monotonic()
    smtpd.start()
    assert time.monotonic() - begun > 0.6
    assert smtpd.queue.connections == 1


def test_ipv6_addresses_are_listened_on():
    """`[::1]:0` is an address to listen on, too."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    with listen(b"[::1]:0") as listener:
        assert listener.getsockname()[0] == "::1"


TO_DATA = b"RSET\r\nEHLO c\r\nMAIL FROM:<s@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
PIECES = [
    *(TO_DATA,) * 8,
    *(
        b"EHLO c\r\n",
        b"HELO c\r\n",
        b"MAIL FROM:<s@example.net>\r\n",
        b"MAIL FROM:<> SIZE=9 BODY=7BIT\r\n",
        b"DATA\r\n",
    ),
    *(b"RCPT TO:<alice@example.org>\r\n", b"RCPT TO:<x@else.example>\r\n", b"RSET\r\n", b"NOOP\r\n", b"VRFY\r\n"),
    *(
        b"\r\n.\r\n",
        b".\r\n",
        b"\r",
        b"\n",
        b".",
        b"\0",
        b"\xff\xfe",
        b"x" * 5000,
        b"x" * 70000,
        b"<",
        b'"',
        b"\\",
        b"@",
        b":",
    ),
]


def test_whatever_clients_send_nothing_breaks(smtpd):
    """Commands, content and garbage in any order and cut anywhere: every reply is one, nothing is an internal error."""
    dice = random.Random(11)
    for _ in range(150):
        wire = b"".join(dice.choices(PIECES, k=dice.randint(1, 60)))
        with smtpd.connect() as client:
            for start in range(0, len(wire), size := dice.choice([3000, 65536, 1 << 20])):
                client.send(wire[start : start + size])
            client.shut()
            while line := client.line():
                assert line[:3].isdigit()
                assert line[3:4] in b" -"
                assert not line.startswith((b"451", b"421 4.3"))
    assert not [line for line in smtpd.log if line["event"] == "trouble"]
