"""One message in is one message out: no false end of data splits it, on its way in or on its way to the next host.

And no command that was sent in the clear is taken for one that came encrypted (CVE-2011-0411), for nothing is encrypted yet.
"""

import re
import socket
from collections.abc import Iterator

import pytest
from attacked import ENDS_NEARLY, OLD_PRINTER, Attacked, CarelessHost, attacked

# what some server has taken for the end of data, and whether it has a bare CR or LF (else it is content, as any line)
ENDS = [
    (b"\n.\n", True),
    (b"\n.\r\n", True),
    (b"\r\n.\n", True),
    (b"\r.\r", True),
    (b"\r.\r\n", True),
    (b"\r\n.\r", True),
    (b"\r.\n", True),
    (b"\n.\r", True),
    (b"\r\r\n.\r\r\n", True),
    (b"\r\n.\r\r\n", True),
    (b"\n\r.\n\r", True),
    (b"\r\n\n.\n\r\n", True),
    (b"\r\n\r.\r\n", True),
    (b"\r\n\0.\r\n", False),
    (b"\r\n.\0\r\n", False),
    (b"\r\0\n.\r\0\n", True),
    (b"\r\n .\r\n", False),
    (b"\r\n. \r\n", False),
    (b"\r\n..\r\n", False),
    (b"\x85.\x85", False),
    (b"\x0b.\x0b", False),
    (b"\xe2\x80\xa8.\xe2\x80\xa8", False),
]
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
IDS = [repr(row[0])[2:-1] for row in ENDS]
SMUGGLED = b"MAIL FROM:<admin@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """All is tried on one host; at the end no mailbox and no next host has a message that nobody sent."""
    with attacked(tmp_path_factory.mktemp("smuggling") / "host") as running:
        yield running
        running.settled()
        assert not [mail for mail in running.appliance.mailbox("alice") if headed(mail, b"smuggled")]
        assert not [line for line in running.appliance.log("received") if line["sender"] == "admin@example.org"]


def headed(mail: bytes, subject: bytes) -> bool:
    """Whether a message's own header has this subject."""
    return b"\nSubject: " + subject in re.split(rb"\r?\n\r?\n", mail, maxsplit=1)[0]


@pytest.mark.parametrize(("end", "bare"), ENDS, ids=IDS)
def test_a_false_end_does_not_end_a_message_that_comes_in(host: Attacked, end: bytes, *, bare: bool) -> None:
    """Refused with 550 5.6.0 at its true end if a CR or LF stands alone, else content; cut anywhere, pipelined or not."""
    content = b"Subject: bait\r\n\r\nhello" + end + SMUGGLED + b".\r\n"
    start = content.index(end)
    commands = b"MAIL FROM:<s@attacker.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
    cuts = [(), *((start + at,) for at in range(len(end) + 1)), tuple(range(start - 2, start + len(end) + 2))]
    for number, cut in enumerate(cuts):
        with host.smtp() as session:
            if number % 2:
                session.send(commands + content + b"NOOP\r\n", *(len(commands) + at for at in cut))
                answers = [session.reply() for _ in range(5)]
            else:
                answers = [session.say(line) for line in commands.split(b"\r\n")[:3]]
                session.send(content + b"NOOP\r\n", *cut)
                answers += [session.reply(), session.reply()]
            verdict = b"550 5.6.0" if bare else b"250 2.0.0"
            assert [answer[:9] for answer in answers[3:]] == [verdict, b"250 2.0.0"], (cut, answers)
            assert answers[2][:3] == b"354"


@pytest.mark.parametrize(
    "end", [row[0] for row in ENDS if row[1]], ids=[IDS[n] for n, row in enumerate(ENDS) if row[1]]
)
def test_where_bare_newlines_are_mended_they_end_lines_and_no_message(host: Attacked, end: bytes) -> None:
    """A network of normalize_from gets one message accepted, and it is the whole one."""
    with host.smtp(OLD_PRINTER) as session:
        for line in (b"MAIL FROM:<s@printer.example>", b"RCPT TO:<alice@example.org>"):
            assert session.say(line)[:3] == b"250"
        assert session.say(b"DATA")[:3] == b"354"
        session.send(b"Subject: bait\r\n\r\nhello" + end + SMUGGLED + b".\r\nNOOP\r\n")
        assert [session.reply()[:3], session.reply()[:14]] == [b"250", b"250 2.0.0 ok"]


def lanes(host: Attacked, end: bytes, mark: bytes, *, commands: bool) -> int:
    """Send a bait with this false end on every way that takes it, for a recipient who is forwarded; how many went in."""
    text = (
        b"Subject: bait %b\n\nhello" % mark + end + SMUGGLED.replace(b"alice@example.org", b"smuggled@victim.example")
    )
    large = text.replace(b"hello", b"hello\n" + b"x" * 70_000)
    packages = [
        host.package(first + content, b"abroad@example.org", sender=b"s@attacker.example")
        for content in (text, large)
        for first in (b"\n", b"\r")
    ]
    assert all(answers[0][:1] == b"K" for answers in packages)
    with host.smtp(OLD_PRINTER) as session:
        for line in (b"MAIL FROM:<s@printer.example>", b"RCPT TO:<abroad@example.org>"):
            assert session.say(line)[:3] == b"250"
        assert session.say(b"DATA")[:3] == b"354"
        session.send(re.sub(rb"^\.", b"..", text, flags=re.MULTILINE) + b"\r\n.\r\n")
        assert session.reply()[:3] == b"250"
    injected = [("sendmail", "-f", "s@a.example", "abroad@example.org"), ("qmail-inject", "abroad@example.org")]
    for words in injected if commands else ():
        assert host.command(*words, letter=text).returncode == 0
    return len(packages) + 1 + len(injected) * commands


def test_a_false_end_does_not_end_a_message_that_goes_out(host: Attacked) -> None:
    """By QMTP, sendmail and mended SMTP such bytes come in; the most careless next host gets each as one message."""
    host.reached()
    sent = {number: lanes(host, end, b"%d!" % number, commands=number < 4) for number, (end, _) in enumerate(ENDS)}
    letters = host.reached()
    assert all(recipients == (b"<away@victim.example>",) for _, recipients, _ in letters)
    for number, count in sent.items():
        assert sum(headed(content, b"bait %d!" % number) for *_, content in letters) == count, ENDS[number]
    assert len(letters) == sum(sent.values())
    assert all(b"Subject: smuggled" in content for *_, content in letters)
    assert not [raw for raw in host.victim.raw if BARE.search(raw)]


def test_whatever_the_next_host_takes_for_a_line_s_end_it_sees_our_lines(host: Attacked) -> None:
    """No bare CR or LF leaves, and no NUL."""
    text = b"\nSubject: lines\n\none\rtwo\r\nthr\0ee\n\rfour\n"
    assert host.package(text, b"abroad@example.org", sender=b"s@attacker.example")[0][:1] == b"K"
    host.settled()
    assert not [raw for raw in host.victim.raw if BARE.search(raw)]
    assert [raw for raw in host.victim.raw if b"\r\n\r\none\r\ntwo\r\nthree\r\n\r\nfour\r\n.\r\n" in raw]


@pytest.mark.parametrize(
    "recipient", [b"refused@example.org", b"bob@example.org"], ids=["a host's reply", "a program's"]
)
def test_a_bounce_smuggles_nothing(host: Attacked, recipient: bytes) -> None:
    """What a next host or a program says goes back in one message, which is to the sender."""
    host.reached()
    bait = b"\nSubject: bait\n\nhello\r.\r\n" + SMUGGLED
    assert host.package(bait, recipient, sender=b"s@attacker.example")[0][:1] == b"K"
    ((sender, recipients, content),) = host.reached()
    assert (sender, recipients) == (b"<>", (b"<s@attacker.example>",))
    assert headed(content, b"failure notice")
    header = content.split(b"\r\n\r\n")[0]
    assert b"Injected" not in header
    assert all(not line.startswith((b"Injected", b"MAIL", b".\r")) for line in header.split(b"\r\n"))


@pytest.mark.parametrize(
    ("listener", "start", "answer"),
    [("smtp", b"STARTTLS", b"502 5.5.1"), ("smtp", b"starttls", b"502 5.5.1"), ("pop3", b"STLS", b"-ERR")],
)
def test_what_follows_starttls_in_the_clear_is_in_the_clear(
    host: Attacked, listener: str, start: bytes, answer: bytes
) -> None:
    """It is not offered, it is refused, and so nothing behind it in the same packet is ever taken for encrypted.

    When TLS is served, this test must become: what was read before the handshake is thrown away.
    """
    ask = b"EHLO a\r\n" if listener == "smtp" else b"CAPA\r\n"
    with host.attacker(listener) as session:
        session.send(ask + start + b"\r\nNOOP\r\nQUIT\r\n")
        told = session.rest().split(b"\r\n")
    assert not [line for line in told if (start.upper() in line.upper() and line[3:4] == b"-") or line == start]
    said = told[-4:-1]
    assert said[0].startswith(answer)
    assert [line[:3] for line in said[1:]] == ([b"250", b"221"] if listener == "smtp" else [b"+OK", b"+OK"])


def test_a_tls_handshake_is_not_mail(host: Attacked) -> None:
    """A client that begins TLS at once, and hides commands in its first bytes, is told that this is no command."""
    hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"\nMAIL FROM:<s@a.example>\r\n" + bytes(50) + b"\r\n"
    with host.attacker() as session:
        session.send(hello + b"QUIT\r\n")
        assert [line[:3] for line in session.rest().split(b"\r\n")] == [b"220", b"500", b"503", b"500", b"221", b""]


def test_our_client_does_not_begin_tls(host: Attacked) -> None:
    """The next host offers STARTTLS; until we can, its injected replies have nothing to be mistaken for."""
    host.package(b"\nSubject: out\n\n", b"abroad@example.org", sender=b"s@attacker.example")
    host.settled()
    assert all(b"STARTTLS" not in raw.upper() for raw in host.victim.raw)


def test_the_careless_host_is_careless() -> None:
    """A client that stuffs no dots smuggles each false end past it: else it would prove nothing."""
    for end in (b"\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n"):
        assert ENDS_NEARLY.search(b"hello" + end)
        victim = CarelessHost()
        with socket.create_connection(("127.0.0.1", victim.port), 10) as client, client.makefile("rb") as answers:
            client.sendall(b"MAIL FROM:<s>\r\nRCPT TO:<r>\r\nDATA\r\nhello" + end + SMUGGLED + b".\r\nQUIT\r\n")
            for _ in range(9):
                answers.readline()
        assert [sender for sender, _, _ in victim.letters] == [b"<s>", b"<admin@example.org>"]
