"""Clients that want to do harm, and disks that fail."""

import os
import random
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pop3d_program import Client

CORPUS = Path(__file__).parent / "corpus"


def test_a_line_without_end_is_cut_off(pop3d):
    """Before and after the log-in; what is read of it is bounded."""
    for client in (pop3d.connect(), pop3d.session()):
        with client:
            with suppress(ConnectionError):  # it does not wait for all of it
                client.send(b"X" * 100_000)
            assert client.line() == b"-ERR this line is too long"
            assert client.ended()


def test_a_client_that_talks_nonsense_is_left(pop3d):
    """HTTP, TLS or anything else on the port: ten answers at most."""
    with pop3d.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"Header: x\r\n" * 20)
        answers = 0
        while client.line():
            answers += 1
        assert answers == 10
    assert "none" in pop3d.wait_for("session_ended")["reason"]


def test_bytes_of_every_kind_end_no_session_but_their_own(pop3d):
    """The kept corpus and random bytes, before and after a log-in; afterwards all is well."""
    chance = random.Random(1939)
    inputs = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    inputs += [chance.randbytes(chance.randrange(300)) for _ in range(30)]
    for data in inputs:
        for client in (pop3d.connect(), pop3d.session()):
            with client:
                with suppress(OSError):  # it may end the connection at any time
                    client.send(data)
                    client.socket.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    while client.socket.recv(65536):
                        pass
    with pop3d.session() as client:
        assert client.say(b"STAT")[:3] == b"+OK"


def test_many_slow_clients_hold_up_nobody(pop3d):
    """Slow loris: a byte now and then. A quick client is served meanwhile, and one address has so many sessions only."""
    slow = [pop3d.connect() for _ in range(90)]
    for client in slow:
        client.send(b"U")
    began = time.monotonic()
    with pop3d.session() as client:
        client.say(b"STAT")
    assert time.monotonic() - began < 30
    slow += [pop3d.connect() for _ in range(11)]
    assert slow[-1].greeting == b"-ERR [SYS/TEMP] too many sessions, try again later"
    for client in slow:
        client.socket.close()


@pytest.mark.parametrize("pop3d", [{"patience": 1.5}], indirect=True)
def test_a_client_is_not_waited_for_without_end(pop3d):
    """One that has no password, however busily it writes; and one that has, and falls silent: nothing is removed."""
    (path,) = pop3d.fill(b"a: b\n\n")
    began = time.monotonic()
    with pop3d.connect() as stranger, pop3d.session() as silent:
        silent.say(b"DELE 1")
        with suppress(ConnectionError):
            while stranger.say(b"NOOP"):
                assert time.monotonic() - began < 60
                time.sleep(0.1)
        assert silent.ended()
        assert time.monotonic() - began > 1.2
    assert pop3d.wait_for("session_ended")["reason"] == "timeout before a log-in"
    assert pop3d.wait_for("fetched")["ended"] == "timeout"
    assert path.exists()


def test_a_client_that_does_not_read_is_given_no_more(pop3d):
    """Its mail waits in the file, not in memory; others go on."""
    pop3d.fill(b"a: b\n\n" + b"x" * 79 + b"\n" * 64 * 1024 * 1024)
    with pop3d.session("alice") as client, pop3d.session("bob") as other:
        before = pop3d.memory()
        client.send(b"RETR 1\r\n")
        time.sleep(1)
        assert other.say(b"NOOP")[:3] == b"+OK"
        assert pop3d.memory() - before < 16 * 1024 * 1024


def test_a_client_that_leaves_after_quit_has_said_quit(pop3d):
    """What it deleted is removed, whether it waits for the answer or not."""
    paths = pop3d.fill(*[b"a: b\n\n"] * 2000)
    with pop3d.session() as client:
        client.send(b"".join(b"DELE %d\r\n" % number for number in range(1, 2001)))
        for _ in range(2000):
            client.line()
        client.send(b"QUIT\r\n")
    assert pop3d.wait_for("fetched")["removed"] == 2000
    assert not any(path.exists() for path in paths)


def test_sigterm_after_quit_waits_for_the_removal(pop3d):
    """An orderly stop ends idle sessions at once, and lets QUIT finish."""
    pop3d.fill(*[b"a: b\n\n"] * 3000)
    with pop3d.session("bob") as idle, pop3d.session() as client:
        client.send(b"".join(b"DELE %d\r\n" % number for number in range(1, 3001)))
        for _ in range(3000):
            client.line()
        client.send(b"QUIT\r\n")
        assert client.line()[:3] == b"+OK"
        assert pop3d.stop() == 0
        assert idle.line()[:15] == b"-ERR [SYS/TEMP]"
    assert os.listdir(pop3d.maildir() / "new") == []


@pytest.mark.parametrize("after", [0.0, 0.005, 0.01, 0.02, 0.04, 0.08])
def test_a_kill_in_the_middle_of_quit_loses_only_what_was_deleted(pop3d, after):
    """Whatever was not marked is there once, in new/ or cur/; the next session goes on from there."""
    paths = pop3d.fill(*[b"a: b\n\n"] * 2000)
    with pop3d.session() as client:
        client.send(b"".join(b"DELE %d\r\n" % number for number in range(1, 2001, 2)) + b"QUIT\r\n")
        for _ in range(1000):
            client.line()
        time.sleep(after)
        pop3d.process.kill()
        pop3d.process.wait()
    left = [path.name.partition(":")[0] for place in ("new", "cur") for path in (pop3d.maildir() / place).iterdir()]
    assert len(left) == len(set(left))
    assert {path.name for path in paths[1::2]} <= set(left) <= {path.name for path in paths}
    pop3d.start()
    with pop3d.session() as client:
        assert client.say(b"STAT") == b"+OK %d %d" % (len(left), 8 * len(left))


def test_what_can_not_be_removed_is_told(pop3d):
    """RFC 1939 section 6: -ERR if some deleted messages are still there."""
    pop3d.fill(b"a: 1\n\n", b"a: 2\n\n")
    with pop3d.session() as client:
        first = pop3d.maildir() / "new" / re.sub(rb"^1 ", b"", client.lines(b"UIDL")[0]).decode()
        client.say(b"DELE 1")
        client.say(b"DELE 2")
        first.unlink()
        first.mkdir()
        assert client.say(b"QUIT") == b"-ERR [SYS/TEMP] 1 deleted messages could not be removed"


def test_damaged_sizes_are_counted_again(pop3d):
    """The file of sizes is a convenience: rubbish in it, or a link in its place, changes nothing."""
    pop3d.fill(*[b"a: b\n\n"] * 30)
    with pop3d.session() as client:
        assert client.say(b"STAT") == b"+OK 30 %d" % (30 * 8)
    remembered = pop3d.maildir() / "pop3sizes"
    assert len(remembered.read_text().splitlines()) == 30
    remembered.write_bytes(b"\xff\xfe rubbish\n12\n-5 x\n" + b"9" * 100 + b" x\n")
    with pop3d.session() as client:
        assert client.say(b"STAT") == b"+OK 30 %d" % (30 * 8)


def test_a_hundred_sessions_come_and_go_without_a_trace(pop3d):
    """No descriptor and no lock is left behind."""
    descriptors = Path(f"/proc/{pop3d.process.pid}/fd")
    with pop3d.session():
        pass
    pop3d.wait_for("fetched")
    try:
        before = len(list(descriptors.iterdir()))
    except PermissionError:
        pytest.skip("only root sees the descriptors of a program that is locked in")
    for number in range(100):
        client = Client(pop3d.port)
        client.send(b"USER alice@example.org\r\nPASS secret\r\nRETR 1\r\n"[: 10 + number])
        client.socket.close()
    deadline = time.monotonic() + 60
    while len(list(descriptors.iterdir())) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(descriptors.iterdir())) <= before
    with pop3d.session() as client:
        assert client.say(b"STAT")[:3] == b"+OK"
