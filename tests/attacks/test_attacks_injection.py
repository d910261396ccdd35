"""No header, command or envelope by way of an address: CR, LF and NUL in whatever a stranger names.

What holds one is refused where it comes in; what this machine's own users may name is made harmless where it goes.
"""

import re
from collections.abc import Iterator

import pytest
from attacked import FRIEND, Attacked, attacked

MARK = b"Injected: yes"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """All is tried on one host; at the end no header anywhere has the injected field."""
    with attacked(tmp_path_factory.mktemp("injection") / "host") as running:
        yield running
        letters = [content for *_, content in running.reached()]
        assert not [mail for mail in letters + running.appliance.mailbox("alice") if injected(mail)]
        said = b"".join(map(bytes, running.victim.raw))
        assert not re.search(rb"(?:\r|\n)RCPT TO:<evil|<evil[^\r]*>[^\r]", said)


def injected(mail: bytes) -> bool:
    """Whether a reader for whom CR, LF and CRLF all end lines sees the injected field in the header."""
    header = re.split(rb"\n\n|\r\r|\r\n\r\n", mail, maxsplit=1)[0]
    return any(line.startswith(MARK) for line in re.split(rb"\r\n|\r|\n", header))


# a command line with something in it, and the answers to it and to NOOP
LINES = [
    (b"MAIL FROM:<s@a.example\rInjected: yes>", [b"500 5.5.2", b"250 2.0.0"], "CR in a sender"),
    (b"MAIL FROM:<s@a.example\0>", [b"500 5.5.2", b"250 2.0.0"], "NUL in a sender"),
    (b"MAIL FROM:<s@a.example\nInjected: yes>", [b"500 5.5.2", b"500 5.5.2", b"250 2.0.0"], "LF in a sender"),
    (b'MAIL FROM:<"s\nRCPT TO:<evil@victim.example>\n"@a.example>', [b"500 5.5.2"] * 3, "LF in quotes"),
    (b'MAIL FROM:<"s\\\rInjected: yes"@a.example>', [b"500 5.5.2", b"250 2.0.0"], "CR behind a backslash in quotes"),
    (b'MAIL FROM:<"s\x0bInjected: yes"@a.example>', [b"501 5.1.7", b"250 2.0.0"], "a vertical tab"),
    (b"MAIL FROM:<s@a.example> SIZE=1\rInjected: yes", [b"500 5.5.2", b"250 2.0.0"], "CR in a parameter"),
    (b"EHLO a\rInjected: yes", [b"500 5.5.2", b"250 2.0.0"], "CR in EHLO"),
    (b"EHLO a\0b", [b"500 5.5.2", b"250 2.0.0"], "NUL in EHLO"),
    (b"EHLO a\nInjected: yes", [b"500 5.5.2", b"500 5.5.2", b"250 2.0.0"], "LF in EHLO"),
    (b"HELO a b", [b"501 5.5.4", b"250 2.0.0"], "two names"),
    (b"HELO \xe2\x80\xa8", [b"501 5.5.4", b"250 2.0.0"], "a line separator of Unicode"),
    (b"VRFY a\rInjected: yes", [b"500 5.5.2", b"250 2.0.0"], "CR in VRFY"),
    (b"NOOP\rRCPT TO:<evil@victim.example>", [b"500 5.5.2", b"250 2.0.0"], "a command behind CR"),
]


@pytest.mark.parametrize(("line", "answers", "what"), LINES, ids=[row[2] for row in LINES])
def test_a_command_line_is_one_line(host: Attacked, line: bytes, answers: list[bytes], what: str) -> None:
    """500 5.5.2 for CR, LF or NUL in it, and each line has one answer: nobody gets out of step."""
    with host.smtp() as session:
        session.send(line + b"\r\nNOOP\r\n")
        assert [session.reply()[:9] for _ in answers] == answers, what


HELLOS = [b"a(b", b"a)\tby\tevil.example", b"<evil>", b'"x"', b"a;b,c", b"a\x1b[31m", b"a\x0bInjected:yes", b"x" * 255]


def test_what_a_client_calls_itself_stays_in_its_place(host: Attacked) -> None:
    """Whatever passes as a name stands in the Received line with ? for what could end a comment or steer a terminal."""
    for number, hello in enumerate(HELLOS):
        with host.smtp() as session:
            assert session.say(b"HELO " + hello)[:3] == b"250"
            assert session.say(b"MAIL FROM:<s@attacker.example>")[:3] == b"250"
            assert session.say(b"RCPT TO:<alice@example.org>")[:3] == b"250"
            session.say(b"DATA")
            assert session.say(b"Subject: hello %d!\r\n\r\n." % number)[:3] == b"250"
    host.settled()
    for number, hello in enumerate(HELLOS):
        (mail,) = [mail for mail in host.appliance.mailbox("alice") if b"\nSubject: hello %d!\n" % number in mail]
        (name,) = re.findall(rb"unknown \(HELO ([^\n]*)\) \(127\.0\.0\.1\)\n  by mx\.example\.org with SMTP; ", mail)
        assert len(name) == len(hello)
        assert re.fullmatch(rb"[A-Za-z0-9.@%+/=:?\[\]-]+", name)


ADDRESSES = [
    b"x\rInjected: yes\r@a.example",
    b"x\nInjected: yes\n@a.example",
    b"x@a.example\r\nInjected: yes",
    b"x@a.example>\r\nRCPT TO:<evil@victim.example",
    b"x@a.example> RET=FULL AUTH=evil",
    b"x\0@a.example",
    b"x@a.example (comment)",
    b"x@a.example,evil@victim.example:",
    b"list-@a.example> X-@[]",
]


@pytest.mark.parametrize("bad", ADDRESSES, ids=[repr(address)[2:-1] for address in ADDRESSES])
def test_an_address_that_is_more_than_one_is_none(host: Attacked, bad: bytes) -> None:
    """By QMTP and QMQP, whose addresses have no grammar: 5.1.7 for a sender, 5.1.3 for a recipient, whoever sends it."""
    content, good = b"\nSubject: x\n\n", b"s@a.example"
    for source in ("127.0.0.1", FRIEND):
        (answer,) = host.package(content, b"alice@example.org", sender=bad, source=source)
        assert (answer[:1], answer[-7:]) == (b"D", b"#5.1.7)")
        (answer,) = host.package(content, bad, sender=good, source=source)
        assert (answer[:1], answer[-7:]) == (b"D", b"#5.1.3)")
    for sender, recipient in ((bad, b"alice@example.org"), (good, bad)):
        (answer,) = host.package(content, recipient, sender=sender, listener="qmqp", source=FRIEND)
        assert (answer[:1], answer[-7:]) == (b"D", b"#5.1.3)")


def test_what_this_machine_s_users_name_is_harmless_where_it_goes(host: Attacked) -> None:
    """qmail-queue reads any envelope, as qmail's does: in a mailbox a line end is _, to a next host it is never sent.

    Its bounce can't be sent either, so it ends with the postmaster, who is alice.
    """
    host.reached()
    for bad in ADDRESSES[:5]:
        for sender, recipient in (
            (bad, b"alice@example.org"),
            (bad, b"abroad@example.org"),
            (b"alice@example.org", bad),
        ):
            assert host.enqueue(b"Subject: by hand\n\n", b"F%b\0T%b\0\0" % (sender, recipient)) == 0
    assert host.reached() == []
    mails = [mail for mail in host.appliance.mailbox("alice") if b"Subject: by hand" in mail]
    assert len(mails) >= 10
    assert not [mail for mail in mails if injected(mail)]


FIELDS = [
    ("sendmail", "-f", "x\nInjected: yes@a.example", "alice@example.org"),
    ("sendmail", "-F", "X\nInjected: yes", "-f", "s@a.example", "alice@example.org"),
    ("sendmail", "alice@example.org\nInjected: yes"),
    ("qmail-inject", "-f", "x\rInjected: yes@a.example", "alice@example.org"),
    ("qmail-inject", "alice@example.org\r\nInjected: yes"),
    ("mailsubj", "subject\nInjected: yes", "alice@example.org"),
    ("mailsubj", "subject", "alice@example.org\nInjected: yes"),
]


@pytest.mark.parametrize("words", FIELDS, ids=[" ".join(map(repr, words)) for words in FIELDS])
def test_a_command_s_arguments_make_no_fields(host: Attacked, words: tuple[str, ...]) -> None:
    """Refused (100), or blanks stand where the line ends were: a web form that calls sendmail can't be made to add a Bcc."""
    done = host.command(*words, letter=b"From: s@a.example\n\nbody\n", QMAILNAME="Q\nInjected: yes", USER="joe")
    assert done.returncode in (0, 100)  # the fixture looks at what came of it
