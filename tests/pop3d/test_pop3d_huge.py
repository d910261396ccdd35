"""Huge mailboxes, and many sessions."""

import os
import threading
import time

import pytest
from pop3d_program import HASH, fill

MESSAGES = 100_000
MIB = 1 << 20


@pytest.fixture
def huge(pop3d):
    """100,000 messages, whose names tell their sizes as Dovecot's and our own deliveries do."""
    paths = pop3d.fill(b"a: b\n\nbody\n", b"a: b\n\nbody\n")
    for number in range(MESSAGES):
        os.link(paths[number % 2], f"{pop3d.maildir()}/cur/{1_700_000_001 + number}.M1P2Q{number}.host,W=14:2,S")
    for path in paths:
        path.unlink()
    return pop3d


@pytest.mark.slow
def test_a_hundred_thousand_messages_are_listed_within_a_second_and_100_mib(huge):
    """From PASS to the last line of UIDL; sessions of others are answered meanwhile."""
    waits = []
    over = threading.Event()

    def other() -> None:
        with huge.session("bob") as client:
            while not over.is_set():
                began = time.monotonic()
                client.say(b"NOOP")
                waits.append(time.monotonic() - began)
                time.sleep(0.01)  # its own work is in the same process's account

    beside = threading.Thread(target=other)
    beside.start()
    with huge.connect() as client:
        client.say(b"USER alice@example.org")
        began, since = huge.work(), time.monotonic()
        assert client.say(b"PASS secret") == b"+OK %d messages" % MESSAGES
        assert client.say(b"STAT") == b"+OK %d %d" % (MESSAGES, MESSAGES * 14)
        assert client.raw(b"LIST").count(b"\r\n") == MESSAGES + 2
        assert client.raw(b"UIDL").count(b"\r\n") == MESSAGES + 2
        took, whole = huge.work() - began, time.monotonic() - since
        assert client.lines(b"RETR %d" % MESSAGES) == [b"a: b", b"", b"body"]
    over.set()
    beside.join()
    assert took < 1.0
    assert huge.peak() < 100 * MIB
    assert max(waits) < max(0.5, whole / 2)  # of a busy machine


@pytest.mark.parametrize(
    "pop3d",
    [{"more": "limits: {sessions_per_client: 1000}\n", "boxes": "".join(f'      u{n}: {{password: "{HASH}"}}\n' for n in range(500))}],
    indirect=True,
)  # fmt: skip
def test_500_idle_sessions_take_less_than_100_mib(pop3d):
    """Logged in, with a mailbox each."""
    before = pop3d.memory()
    clients = []
    for number in range(500):
        fill(pop3d.maildir(f"u{number}"), *[b"a: b\n\n"] * 3)
        clients.append(pop3d.session(f"u{number}"))
    assert all(client.say(b"STAT") == b"+OK 3 24" for client in clients)
    assert pop3d.memory() - before < 20 * MIB
    assert pop3d.peak() < 100 * MIB
    for client in clients:
        client.socket.close()
