"""Floods on one listener of a whole appliance while the others, and other addresses, are served; large messages in little memory."""

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_host import ALICE, Flood, Host, free_of, wait_until

from appliance import netstring

IN_TIME = 15.0  # seconds for a message by SMTP, one by QMQP and a log-in; a quiet machine needs one
LARGE = 50 * 1024 * 1024  # bytes
GROWTH = 24 * 1024 * 1024  # bytes that it may cost each program that it goes through
COMMAND = 40 * 1024 * 1024  # bytes that a command may allocate


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("floods")
    made = Host(folder)
    yield made
    assert made.appliance.stop() == 0
    made.sink.close()
    free_of(folder)


@pytest.mark.parametrize(("name", "said"), [("smtp", "NOOP"), ("pop3", "USER x"), ("qmtp", "1000000:"), ("qmqp", "9:")])
def test_a_flood_on_one_listener_leaves_the_others_answering(host: Host, name: str, said: str) -> None:
    """From one address: it gets a hundred sessions; another address gets in at all listeners, the flooded one, too."""
    with Flood(host, name, said=said):
        assert host.answer("127.0.0.2") < IN_TIME


def test_a_flood_of_refusals_is_a_few_lines_of_the_log(host: Host) -> None:
    """Thousands of connections that were refused: 100 lines for the address, and one that counts the others; mail has its lines."""
    size = host.appliance.log_file.stat().st_size
    with Flood(host, "smtp", address="127.0.0.9", hold=150):
        for _ in range(5):
            host.smtp("127.0.0.3", ALICE)
    lines = [line for line in host.appliance.log() if line.get("client") == "127.0.0.9"]
    assert len(lines) <= 2 * 2 * 100  # two processes, and a window may have ended
    assert host.appliance.log_file.stat().st_size - size < 200_000
    received = [line for line in host.appliance.log("received") if line["client"] == "127.0.0.3"]
    assert len(received) == 5


def test_qmtp_has_so_many_connections_of_an_address_and_in_all(host: Host) -> None:
    """A hundred of one address; with `limits.sessions` reached another address gets none, either. They are closed."""

    def closed(*clients: socket.socket) -> int:
        return len(select.select(clients, [], [], 0.5)[0])

    def served() -> bool:
        with contextlib.suppress(OSError, IndexError):
            host.qmqp("127.0.0.8")
            return True
        return False

    yaml = host.appliance.config.read_text()
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(host.connect("qmtp", "127.0.0.7")) for _ in range(110)]
        wait_until(lambda: closed(*many) == 10, 20, "ten of them to be closed")
        host.appliance.configure(yaml.replace("60MiB}", "60MiB, sessions: 102}"))
        try:
            wait_until(
                lambda: closed(stack.enter_context(host.connect("qmtp", "127.0.0.8"))), 20, "one more to be closed"
            )
        finally:
            host.appliance.configure(yaml)
    wait_until(served, 20, "an answer again")


HUGE = [  # recipients of a package of QMTP
    b"0:," * 300_000,
    b"5:a@b.c," * 100_000,
    b"900000:" + b"x" * 900_000 + b",",
]


@pytest.mark.parametrize("recipients", HUGE, ids=["empty", "many", "large"])
def test_a_package_with_recipients_without_end_costs_little(host: Host, recipients: bytes) -> None:
    """QMTP answers for each recipient: of more than 4,000, or more than a megabyte, the connection ends."""
    before = host.forget_peaks()
    package = netstring.encode(b"\nSubject: x\n\n") + netstring.encode(b"a@b.example") + netstring.encode(recipients)
    for _ in range(3):
        with host.connect("qmtp") as client, contextlib.suppress(OSError):
            client.sendall(package)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass
    after = host.peaks()
    assert all(after[name] - before[name] < GROWTH for name in before)
    host.qmqp("127.0.0.2")


def test_a_large_message_costs_no_program_its_size(host: Host, tmp_path: Path) -> None:
    """50 MiB by SMTP to a mailbox and to another host, by QMQP, by sendmail: measured, each program stays small."""
    content = b"Subject: large\n\n" + (b"x" * 75 + b"\n") * (LARGE // 76)
    sink = host.sink
    home = host.appliance.state / "mail" / "example.org" / "alice" / "Maildir"

    def arrived() -> int:
        return sum(path.stat().st_size > LARGE for path in home.rglob("*") if path.is_file())

    try:
        before = host.forget_peaks()
        host.smtp("127.0.0.1", ALICE, b"carol@elsewhere.example", content=content.replace(b"\n", b"\r\n"))
        host.qmqp("127.0.0.1", content)
        letter = tmp_path / "letter"
        letter.write_bytes(content)
        environment = {**os.environ, "PAPERPATH_STATE": str(host.appliance.state)}
        with letter.open("rb") as text:
            sendmail = Path(sys.executable).with_name("sendmail")
            limited = ["sh", "-c", f"ulimit -d {COMMAND // 1024} && exec {sendmail} {ALICE.decode()}"]
            subprocess.run(limited, stdin=text, env=environment, check=True)
        wait_until(
            lambda: arrived() == 3 and sink.messages == 1, 30, "three large messages here, and one at the next host"
        )
        assert sink.bytes > LARGE
        after = host.peaks()
        grown = {name: (after[name] - before[name]) >> 20 for name in before}
        assert all(each < GROWTH >> 20 for each in grown.values()), grown
    finally:
        free_of(tmp_path)
