"""Mail by QMTP and QMQP, from real clients and byte by byte."""

import os
import random
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from appliance_process import MAIL_YAML, PAPERPATH, Appliance, free_port, wait_until
from real_peers import listens, need
from unpacked import unpacked

from appliance import netstring

SENDER = b"sender@client.example"


class Host:
    """An appliance that serves both protocols."""

    def __init__(self, make: Callable[..., Appliance], more: str = "", allow: str = "127.0.0.1/32") -> None:
        self.qmtp, self.qmqp = free_port(), free_port()
        yaml = MAIL_YAML.replace(
            "domains:",
            f"  qmtp: {{{{address: 127.0.0.1, port: {self.qmtp}}}}}\n"
            f'  qmqp: {{{{address: 127.0.0.1, port: {self.qmqp}, allow: ["{allow}"]}}}}\ndomains:',
            1,
        )
        self.appliance = make(yaml=yaml.format(port=free_port(), more=more))
        self.appliance.port = int(self.appliance.config.read_text().split("port: ")[1].split("}")[0])
        self.appliance.start()
        wait_until(lambda: [line for line in self.appliance.log("started") if line["program"] == "qmtpd"], 10, "qmtpd")

    def talk(self, port: int, data: bytes) -> list[bytes]:
        """Send all, and say that it was all; the answers."""
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(data)
            with suppress(OSError):  # it may have ended the connection already
                client.shutdown(socket.SHUT_WR)
            told = b"".join(iter(lambda: client.recv(65536), b""))
        return netstring.Decoder(1000).feed(told)

    def letters(self, name: str) -> list[bytes]:
        """The contents of a mailbox's mail."""
        folder = self.appliance.state / "mail" / "example.org" / name / "Maildir" / "new"
        return [path.read_bytes() for path in sorted(folder.glob("*"))]


@pytest.fixture
def host(appliance: Callable[..., Appliance]) -> Host:
    return Host(appliance)


def package(text: bytes, *recipients: bytes, sender: bytes = SENDER, lines: bytes = b"\n") -> bytes:
    """A package of QMTP."""
    to = b"".join(map(netstring.encode, recipients))
    return b"".join(map(netstring.encode, (lines + text, sender, to)))


def request(text: bytes, *recipients: bytes, sender: bytes = SENDER) -> bytes:
    """A request of QMQP."""
    return netstring.encode(b"".join(map(netstring.encode, (text, sender, *recipients))))


def test_each_recipient_of_a_package_has_its_answer(host: Host) -> None:
    """In order: delivered here, no such mailbox, another host's (which is relaying), no address at all."""
    told = host.talk(
        host.qmtp,
        package(
            b"Subject: one\n\nx\n",
            b"alice@example.org",
            b"nobody@example.org",
            b"x@other.example",
            b"a\0b",
            b"bob@example.org",
        ),
    )
    assert [answer[:1] for answer in told] == [b"K", b"D", b"D", b"D", b"K"]
    assert told[1].endswith(b"(#5.1.1)")
    assert told[2].endswith(b"(#5.7.1)")
    assert told[3].endswith(b"(#5.1.3)")
    assert b"qp" in told[0]
    wait_until(lambda: host.letters("alice") and host.letters("bob"), 5, "the mail")
    text = host.letters("alice")[0]
    assert b"Received: from unknown (127.0.0.1)\n  by mx.example.org with QMTP; " in text
    assert text.endswith(b"Subject: one\n\nx\n")
    (line,) = wait_until(lambda: host.appliance.log("received"), 5, "its line")
    assert (line["program"], line["recipients"]) == ("qmtpd", 2)
    wait_until(lambda: len(host.appliance.log("refused")) == 3, 5, "three refusals")


def test_packages_are_pipelined_and_lines_may_be_of_dos(host: Host) -> None:
    """CRLF becomes LF where the first byte says so; the answers come in the packages' order."""
    many = [package(b"Subject: %d\r\n\r\nx\ry\r\n" % n, b"alice@example.org", lines=b"\r") for n in range(50)]
    told = host.talk(host.qmtp, b"".join(many))
    assert [answer[:1] for answer in told] == [b"K"] * 50
    wait_until(lambda: len(host.letters("alice")) == 50, 10, "all of them")
    ends = {letter.split(b"Subject: ")[1] for letter in host.letters("alice")}
    assert ends == {b"%d\n\nx\ry\n" % n for n in range(50)}


def test_a_large_message_streams(host: Host) -> None:
    """It is delivered byte by byte, by both protocols."""
    text = b"Subject: large\n\n" + b"0123456789abcde\n" * 100_000
    assert host.talk(host.qmtp, package(text, b"alice@example.org"))[0][:1] == b"K"
    dos = package(text.replace(b"\n", b"\r\n"), b"alice@example.org", lines=b"\r")
    assert host.talk(host.qmtp, dos)[0][:1] == b"K"
    assert host.talk(host.qmqp, request(text, b"alice@example.org"))[0][:1] == b"K"
    wait_until(lambda: len(host.letters("alice")) == 3, 10, "the mail")
    assert all(letter.endswith(text) for letter in host.letters("alice"))


def test_trap_26_a_message_that_is_too_large_is_refused_for_all_its_recipients(
    appliance: Callable[..., Appliance],
) -> None:
    """And the next package of the connection is taken; the limit counts bytes as they are stored."""
    host = Host(appliance, "limits: {message_size: 1MB}")
    small = package(b"Subject: s\n\nx\n", b"alice@example.org")
    for size in (990_000, 2_000_000):
        text = b"x\r\n" * (size // 2)
        told = host.talk(host.qmtp, package(text, b"alice@example.org", b"no@example.org", lines=b"\r") + small)
        assert [answer[:1] for answer in told] == ([b"K", b"D", b"K"] if size < 1_000_000 else [b"D", b"D", b"K"])
    assert told[0].endswith(b"(#5.3.4)")
    assert told[1].endswith(b"(#5.1.1)")
    (answer,) = host.talk(host.qmqp, request(b"x" * 1_500_000, b"alice@example.org"))
    assert answer.endswith(b"(#5.3.4)")


def test_who_may_relay_by_smtp_may_by_qmtp(appliance: Callable[..., Appliance]) -> None:
    """relay.allow_from is for both."""
    host = Host(appliance, "relay: {allow_from: [127.0.0.1/32]}")
    assert host.talk(host.qmtp, package(b"x: y\n\n", b"x@other.example"))[0][:1] == b"K"


def test_a_sender_that_can_not_be_refuses_every_good_recipient(host: Host) -> None:
    """5.1.7, but a recipient with a fault of its own hears that."""
    told = host.talk(host.qmtp, package(b"x: y\n\n", b"alice@example.org", b"x" * 1000, sender=b"y" * 1000))
    assert [answer[-9:] for answer in told] == [b" (#5.1.7)", b" (#5.1.3)"]


BROKEN = (
    b"x",
    b"01:",
    b":",
    b"0:,",
    b"5:hello,",
    b"999999999999:",
    b"6:\nhello;",
    package(b"x", b"alice@example.org")[:-1],
    netstring.encode(b"\nx") + netstring.encode(SENDER) + b"3:abc,",
    netstring.encode(b"\nx") + netstring.encode(SENDER) + b"9:3:abc,7:x,",
    netstring.encode(b"\nx") + netstring.encode(SENDER) + b"99999999:",
)


def test_what_is_no_package_is_not_answered(host: Host) -> None:
    """The connection is closed, nothing is queued, and the next client is served."""
    for data in BROKEN:
        assert host.talk(host.qmtp, data) == [], data
        assert host.talk(host.qmqp, data) == [], data
    assert host.appliance.log("received") == []
    assert host.talk(host.qmtp, package(b"x", b"alice@example.org"))[0][:1] == b"K"


def test_random_bytes_end_a_connection_and_nothing_else(host: Host) -> None:
    """Good packages with a few bytes changed, cut or doubled: an answer or none, and the program lives."""
    choose = random.Random(9)
    good = package(b"Subject: x\n\nbody\n", b"alice@example.org", b"bob@example.org") * 2
    for _ in range(300):
        data = bytearray(good)
        for _ in range(choose.randrange(1, 4)):
            at = choose.randrange(len(data))
            data[at : at + choose.randrange(3)] = choose.randbytes(choose.randrange(3))
        for port in (host.qmtp, host.qmqp):
            for answer in host.talk(port, bytes(data)):
                assert answer[:1] in b"KZD"
    assert len([line for line in host.appliance.log("started") if line["program"] == "qmtpd"]) == 1


def test_qmqp_takes_and_relays_everything(host: Host) -> None:
    """For hosts of ours: any recipient, none at all, but no address that can't be."""
    assert host.talk(host.qmqp, request(b"Subject: q\n\nx\n", b"alice@example.org", b"x@other.example"))[0][:1] == b"K"
    assert host.talk(host.qmqp, request(b"Subject: q\n\n"))[0][:1] == b"K"
    (refusal,) = host.talk(host.qmqp, request(b"x", b"alice@example.org", b"x" * 1000))
    assert refusal.endswith(b"(#5.1.3)")
    wait_until(lambda: host.letters("alice"), 5, "the mail")
    assert b"with QMQP; " in host.letters("alice")[0]


def test_a_request_with_two_faults_has_an_answer(appliance: Callable[..., Appliance]) -> None:
    """Too large, and to an address that can't be: the first reason counts, and the connection does not just break."""
    host = Host(appliance, "limits: {message_size: 1MB}")
    (refusal,) = host.talk(host.qmqp, request(b"x" * 1_500_000, b"r\0@example.org"))
    assert refusal[:1] == b"D"
    assert b"#5.3.4" in refusal


def test_qmqp_is_for_nobody_who_was_not_named(appliance: Callable[..., Appliance]) -> None:
    """Else it would be an open relay."""
    host = Host(appliance, allow="192.0.2.0/24")
    told: list[bytes] = []
    with suppress(OSError):  # reset, closed or gone already, as it comes
        told = host.talk(host.qmqp, request(b"x", b"alice@example.org"))
    assert told == []
    assert host.appliance.log("received") == []
    (line,) = wait_until(lambda: host.appliance.log("refused"), 5, "its line")
    assert "allow" in str(line["cause"])


def test_a_message_that_loops_is_refused(host: Host) -> None:
    """By its trace lines, as by SMTP."""
    text = b"Received: by x\n" * 100 + b"\nbody\n"
    for told in (
        host.talk(host.qmtp, package(text, b"alice@example.org")),
        host.talk(host.qmqp, request(text, b"a@b")),
    ):
        assert told[0].endswith(b"(#5.4.6)")


def test_qmqp_source_is_served(host: Host, tmp_path: Path) -> None:
    """Postfix's own QMQP client: two hundred messages, ten at a time."""
    source = need("qmqp-source", "postfix")
    command = [source, "-s", "10", "-m", "200", "-f", "a@b.example", "-t", "alice@example.org"]
    subprocess.run([*command, f"inet:127.0.0.1:{host.qmqp}"], check=True, timeout=60, cwd=tmp_path)
    wait_until(lambda: len(host.letters("alice")) == 200, 20, "all of them")


def by_hand(host: Host, name: str, data: bytes, **environ: str) -> tuple[int, list[bytes]]:
    """Run qmail-qmtpd or qmail-qmqpd on two pipes; its exit status and answers."""
    done = subprocess.run(
        [PAPERPATH.with_name(name)],
        input=data,
        check=False,
        capture_output=True,
        timeout=30,
        env={**os.environ, "PAPERPATH_STATE": str(host.appliance.state), "TCPREMOTEIP": "192.0.2.7", **environ},
    )
    return done.returncode, netstring.Decoder(1000).feed(done.stdout)


def test_the_programs_serve_stdin_and_stdout(host: Host) -> None:
    """Their environment says who is there; exit 0 at the end, 100 for what is no package, 111 without a queue."""
    mail = package(b"Subject: x\n\n", b"alice@example.org", b"x@other.example")
    status, told = by_hand(host, "qmail-qmtpd", mail * 2)
    assert (status, [answer[:1] for answer in told]) == (0, [b"K", b"D"] * 2)
    assert [answer[:1] for answer in by_hand(host, "qmail-qmtpd", mail, RELAYCLIENT="")[1]] == [b"K", b"K"]
    assert by_hand(host, "qmail-qmtpd", mail, DATABYTES="5")[1][0].endswith(b"(#5.3.4)")
    assert by_hand(host, "qmail-qmqpd", request(b"x: y\n\n", b"alice@example.org"))[1][0][:1] == b"K"
    assert by_hand(host, "qmail-qmqpd", b"rubbish") == (100, [])
    assert by_hand(host, "qmail-qmtpd", b"", PAPERPATH_STATE="/nowhere") == (111, [])
    wait_until(
        lambda: sum(b"from unknown (192.0.2.7)" in letter for letter in host.letters("alice")) >= 4, 5, "the mail"
    )


def test_tcpserver_may_start_them(host: Host) -> None:
    """As on a qmail machine: one process a connection."""
    port = free_port()
    command = [need("tcpserver", "ucspi-tcp"), "-HR", "-l0", "127.0.0.1", str(port), PAPERPATH.with_name("qmail-qmqpd")]
    environ = {**os.environ, "PAPERPATH_STATE": str(host.appliance.state)}
    with subprocess.Popen(command, env=environ) as server:
        try:
            wait_until(lambda: listens(server, port), 10, "tcpserver")
            assert host.talk(port, request(b"x: y\n\n", b"alice@example.org"))[0][:1] == b"K"
        finally:
            server.terminate()
    wait_until(lambda: host.letters("alice"), 5, "the mail")
    assert b"from unknown (127.0.0.1)" in host.letters("alice")[0]


def by_client(folder: Path, servers: str, text: bytes, letter: bytes) -> int:
    """Run qmail-qmqpc as programs run qmail-queue: the message on descriptor 0, the envelope on 1."""
    control = folder / "generations" / "active" / "control"
    control.mkdir(parents=True, exist_ok=True)
    (control / "qmqpservers").write_text(servers)
    (folder / "message").write_bytes(text)
    (folder / "envelope").write_bytes(letter)
    with (folder / "message").open("rb") as message, (folder / "envelope").open("rb") as envelope:
        environ = {**os.environ, "PAPERPATH_STATE": str(folder)}
        command = [PAPERPATH.with_name("qmail-qmqpc")]
        return subprocess.run(command, stdin=message, stdout=envelope, check=False, env=environ, timeout=60).returncode


def test_a_host_without_a_queue_hands_its_mail_over(host: Host, tmp_path: Path) -> None:
    """By qmail-qmqpc, with qmail-queue's interface; small or large, to the first server that takes the connection."""
    letter = b"Fsender@client.example\0Talice@example.org\0\0"
    here = f"# comment\nrubbish\n127.0.0.1:{free_port()}\n127.0.0.1:{host.qmqp}\n"
    (tmp_path / "generations").mkdir()
    (tmp_path / "generations" / "one").mkdir()
    (tmp_path / "generations" / "active").symlink_to("one")
    large = b"Subject: large\n\n" + b"0123456789abcde\n" * 200_000
    assert by_client(tmp_path, here, b"Subject: small\n\n", letter) == 0
    assert by_client(tmp_path, here, large, letter) == 0
    wait_until(lambda: len(host.letters("alice")) == 2, 5, "the mail")
    assert any(text.endswith(large) for text in host.letters("alice"))
    assert (
        by_client(tmp_path, here, b"x", b"Fs@a\0T" + b"x" * 1001 + b"\0\0") == 31
    )  # longer than QMQP's, not than ours
    assert by_client(tmp_path, here, b"x", b"rubbish\0\0") == 91
    assert by_client(tmp_path, "", b"x", letter) == 55
    assert by_client(tmp_path, f"127.0.0.1:{free_port()}\n", b"x", letter) == 73
    assert by_client(tmp_path, f"127.0.0.1:{host.appliance.port}\n", b"x", letter) == 74  # that is SMTP


def test_nullmailer_hands_its_mail_over(host: Host, tmp_path: Path) -> None:
    """The relay-only mailer of many small machines, by its QMQP."""
    client = unpacked("nullmailer") / "usr" / "lib" / "nullmailer" / "qmqp"
    letter = tmp_path / "letter"
    letter.write_text("a@b.example\nalice@example.org\n\nSubject: from nullmailer\n\nhello\n")
    command = ["sh", "-c", 'exec "$@" 3<letter </dev/null', "sh", client, "--host=127.0.0.1", f"--port={host.qmqp}"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False, timeout=30)
    assert done.returncode == 0, done
    wait_until(lambda: host.letters("alice"), 5, "the mail")
    assert host.letters("alice")[0].endswith(b"Subject: from nullmailer\n\nhello\n")


def test_qmqp_sink_takes_from_our_client(tmp_path: Path) -> None:
    """Postfix's QMQP server, as a second opinion on what qmail-qmqpc sends."""
    port = free_port()
    (tmp_path / "generations" / "one").mkdir(parents=True)
    (tmp_path / "generations" / "active").symlink_to("one")
    with subprocess.Popen([need("qmqp-sink", "postfix"), f"127.0.0.1:{port}", "10"], stdout=subprocess.DEVNULL) as sink:
        try:
            letter = b"Fs@client.example\0Ta@b.example\0Tc@d.example\0\0"
            servers = f"127.0.0.1:{port}\n"
            wait_until(lambda: by_client(tmp_path, servers, b"Subject: x\n\ny\n", letter) == 0, 5, "a K")
        finally:
            sink.terminate()


def near(make: Callable[..., Appliance], port: int) -> Appliance:
    """An appliance whose mail for the world goes to a port by QMTP."""
    more = f'relay: {{allow_from: [127.0.0.1/32]}}\nroutes: [{{domain: "*", via: "qmtp://127.0.0.1:{port}"}}]'
    yaml = MAIL_YAML.replace("  example.org:", "  near.example:", 1)
    made = make(yaml=yaml.format(port=free_port(), more=more))
    made.port = int(made.config.read_text().split("port: ")[1].split("}")[0])
    return made.start()


def test_a_route_may_be_qmtp(host: Host, appliance: Callable[..., Appliance]) -> None:
    """Mail goes on by QMTP: many recipients, large ones, and what the other host refuses bounces to its sender."""
    sending = near(appliance, host.qmtp)
    sending.send("alice@example.org", "bob@example.org", "nobody@example.org", sender="bob@near.example")
    for number in range(30):
        sending.send("alice@example.org", text=f"number {number}")
    large = "0123456789\r\n" * 30_000
    sending.send("bob@example.org", text=large)
    wait_until(lambda: len(host.letters("alice")) == 31 and len(host.letters("bob")) == 2, 15, "the mail")
    assert any(large.replace("\r\n", "\n").encode() in text for text in host.letters("bob"))
    bounces = sending.state / "mail" / "near.example" / "bob" / "Maildir" / "new"
    (bounce,) = wait_until(lambda: list(bounces.glob("*")), 10, "a bounce")
    assert b"no such mailbox here (#5.1.1)" in bounce.read_bytes()
    lines = sending.log("delivered")
    assert all("127.0.0.1]:" in str(line["to"]) for line in lines if line["program"] == "remote")


class Peer:
    """A QMTP host that answers as it is told, package by package."""

    def __init__(self, *answers: bytes | None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, args=(list(answers),))
        self.thread.start()

    def _serve(self, answers: list[bytes | None]) -> None:
        while answers:
            client, _ = self.listener.accept()
            client.settimeout(30)
            with client:
                decoder, frames = netstring.Decoder(10_000_000), 0
                while answers and (data := client.recv(65536)):
                    frames += len(decoder.feed(data))
                    if frames < 3:
                        continue
                    frames -= 3
                    answer = answers.pop(0)
                    if answer is None:
                        break
                    client.sendall(answer)
        self.listener.close()


@pytest.mark.parametrize(
    ("answer", "event", "text"),
    [
        (netstring.encode(b"Zcome back (#4.3.0)"), "deferred", "come back"),
        (netstring.encode(b"Dno (#5.7.1)"), "failed", "no (#5.7.1)"),
        (netstring.encode(b"?what"), "deferred", "what"),
        (b"220 mx.example ESMTP\r\n", "deferred", "does not speak QMTP"),
        (netstring.encode(b"K") * 2, "delivered", "accepted"),
        (None, "deferred", "Possible duplicate"),
    ],
)
def test_what_a_qmtp_host_may_answer(
    appliance: Callable[..., Appliance], answer: bytes | None, event: str, text: str
) -> None:
    """Three letters; all else, and silence, is temporary."""
    peer = Peer(answer)
    sending = near(appliance, peer.port)
    sending.send("x@example.org", sender="")
    lines = wait_until(lambda: sending.log(event), 10, event)
    peer.thread.join(60)
    assert text in str(lines[0]["text"])
