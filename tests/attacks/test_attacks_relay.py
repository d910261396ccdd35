"""No open relay by any trick: a stranger's mail for another host is refused at RCPT, and the next host hears nothing.

`%` leads on in example.org (percenthack), anything below backup.example is taken for another host, and one network may
relay: the ways in that a careless server has are all there.
"""

from collections.abc import Iterator

import pytest
from attacked import FRIEND, Attacked, attacked

DENIED, NOBODY, SYNTAX, ASCII, TAKEN = b"550 5.7.1", b"550 5.1.1", b"501 5.1.3", b"553 5.6.7", b"250 2.1.5"
SENDER = b"<stranger@attacker.example>"

# the path after RCPT TO:, the answer, what the forger hopes for
PATHS = [
    (b"<x@victim.example>", DENIED, "nobody asks"),
    (b"<X@VICTIM.EXAMPLE>", DENIED, "capitals"),
    (b"x@victim.example", DENIED, "no brackets"),
    (b"<@example.org:x@victim.example>", DENIED, "a source route through us"),
    (b"<@mx.example.org,@example.org:x@victim.example>", DENIED, "a longer one"),
    (b"<@victim.example:x@victim.example>", DENIED, "a source route through the other host"),
    (b"<@example.org:x%victim.example@example.org>", DENIED, "a source route and a percent"),
    (b"<x%victim.example@example.org>", DENIED, "the percent hack, which this host's own networks may use"),
    (b"<x%victim.example%example.org@example.org>", DENIED, "percent behind percent"),
    (b"<x%victim.example@mx.example.org>", NOBODY, "the percent hack where nobody asked for it"),
    (b'<"x%victim.example"@example.org>', DENIED, "a percent in quotes"),
    (b'<"x@victim.example"@example.org>', NOBODY, "an @ in quotes"),
    (b'<"<x@victim.example>"@example.org>', NOBODY, "brackets in quotes"),
    (b'<"x@victim.example">', SYNTAX, "quotes and no domain"),
    (b'<"x%victim.example"@[127.0.0.1]>', NOBODY, "a percent at our address"),
    (b'<"x@victim.example"@[127.0.0.1]>', NOBODY, "an @ in quotes at our address"),
    (b"<x\\@victim.example@example.org>", SYNTAX, "a backslash outside quotes"),
    (b'<"x\\@victim.example"@example.org>', NOBODY, "a backslash in quotes"),
    (b"<victim.example!x@example.org>", NOBODY, "a bang path"),
    (b"<victim.example!x>", NOBODY, "a bang path without a domain"),
    (b"<example.org!victim.example!x@example.org>", NOBODY, "a longer one"),
    (b"<x@victim.example@example.org>", SYNTAX, "two @"),
    (b"<x@example.org@victim.example>", SYNTAX, "two @ the other way"),
    (b"<@x@victim.example>", SYNTAX, "an @ first"),
    (b"<x@victim.example,alice@example.org>", SYNTAX, "a list"),
    (b"<alice@example.org,x@victim.example>", SYNTAX, "a list, ours first"),
    (b"<alice@example.org><x@victim.example>", b"501 5.5.4", "two paths"),
    (b"<alice@example.org> <x@victim.example>", b"555 5.5.4", "two paths with a blank"),
    (b"<x@victim.example> ORCPT=rfc822;alice@example.org", b"555 5.5.4", "a parameter"),
    (b"<x@[192.0.2.25]>", DENIED, "an address literal"),
    (b"<x@[IPv6:2001:db8::25]>", DENIED, "an IPv6 literal"),
    (b"<x@192.0.2.25>", DENIED, "an address without brackets"),
    (b"<x@[victim.example]>", DENIED, "a name in brackets"),
    (b"<x@[127.0.0.1>", SYNTAX, "half a literal"),
    (b"<x@[127.0.0.1]>", NOBODY, "nobody's mailbox at our address"),
    (b"<x@[127.0.0.2]>", DENIED, "the address of one who may relay"),
    (b"<x@[0x7f000001]>", DENIED, "our address in hexadecimal is nobody's"),
    (b"<x@[2130706433]>", DENIED, "nor is it in decimal"),
    (b"<x@#2130706433>", SYNTAX, "the oldest form of a literal"),
    (b"<x@victim.example.>", SYNTAX, "a dot at the end"),
    (b"<x@example.org.>", SYNTAX, "a dot at the end of our own"),
    (b"<x@.victim.example>", SYNTAX, "a dot first"),
    (b"<x@victim..example>", SYNTAX, "two dots"),
    (b"<x@victim.example.example.org>", DENIED, "a domain below ours is not ours"),
    (b"<x@notexample.org>", DENIED, "a domain that ends as ours"),
    (b"<x@example.org.victim.example>", DENIED, "a domain that begins as ours"),
    (b"<x@backup.example>", DENIED, "the domain above those that are taken"),
    (b"<x@evil-backup.example>", DENIED, "not below it at a dot"),
    (b"<x@.backup.example>", SYNTAX, "the entry itself"),
    ("<x@victim\N{IDEOGRAPHIC FULL STOP}example>".encode(), ASCII, "an ideographic full stop"),
    ("<x@victim\N{FULLWIDTH FULL STOP}example>".encode(), ASCII, "a full-width dot"),
    ("<x\N{FULLWIDTH COMMERCIAL AT}victim.example@example.org>".encode(), ASCII, "a full-width @"),
    ("<x\N{FULLWIDTH COMMERCIAL AT}victim.example>".encode(), ASCII, "and no other"),
    ("<x@e\N{CYRILLIC SMALL LETTER HA}ample.org>".encode(), ASCII, "a Cyrillic letter in our name"),
    ("<x@ex\N{CYRILLIC SMALL LETTER A}mple.org>".encode(), ASCII, "another one"),
    (b"<x@xn--eample-9cf.org>", DENIED, "the same in its ASCII form"),
    ("<x%victim\N{FULLWIDTH FULL STOP}example@example.org>".encode(), ASCII, "a percent before a full-width dot"),
    (b"<x@victim.example\xff>", ASCII, "no UTF-8 at all"),
    (b"<x@victim.example(@example.org)>", SYNTAX, "a comment"),
    (b"<x(@example.org)@victim.example>", SYNTAX, "a comment in front"),
    (b"<(x@victim.example)alice@example.org>", SYNTAX, "a comment of the other host"),
    (b"<x @victim.example>", SYNTAX, "a blank"),
    (b"<x@victim.example @example.org>", SYNTAX, "a blank between two domains"),
    (b"< x@victim.example>", SYNTAX, "a blank first"),
    (b"<x@victim.example\t>", SYNTAX, "a tab"),
    (b"<x@victim.example\0@example.org>", b"500 5.5.2", "a NUL between two domains"),
    (b"<x@victim.example\0>", b"500 5.5.2", "a NUL at the end"),
    (b"<x@victim.example\r@example.org>", b"500 5.5.2", "a CR between two domains"),
    (b"<x@victim.example\x1a@example.org>", SYNTAX, "a control character"),
    (b"<<x@victim.example>@example.org>", SYNTAX, "brackets in brackets"),
    (b"alice@example.org <x@victim.example>", b"555 5.5.4", "a name before the path"),
    (b"<x@victim.example;alice@example.org>", SYNTAX, "a semicolon"),
    (b"<x@victim.example|alice@example.org>", SYNTAX, "a pipe"),
    (b"<|nc victim.example 25@example.org>", SYNTAX, "a program"),
    (b"<'|nc'@example.org>", NOBODY, "a program's name"),
    (b"</tmp/x@example.org>", NOBODY, "a file's name"),
    (b"<alice-x@example.org>", NOBODY, "an extension that nobody has"),
    (b"<>", SYNTAX, "nobody"),
    (b"<@>", SYNTAX, "an @ and nothing else"),
    (b"<x@>", SYNTAX, "no domain behind the @"),
]
# MAIL FROM before <x@victim.example>: a sender proves nothing
SENDERS = [
    (b"<>", "a bounce"),
    (b"<alice@example.org>", "a mailbox of ours"),
    (b"<ALICE@EXAMPLE.ORG>", "in capitals"),
    (b"<postmaster>", "no domain"),
    (b"<MAILER-DAEMON@mx.example.org>", "our own name"),
    (b"<alice@[127.0.0.1]>", "our address"),
    (b"<alice@[127.0.0.2]>", "the address of one who may relay"),
    (b"<alice@localhost>", "localhost"),
    (b"<x@victim.example>", "the other host's"),
    (b"<@example.org:alice@example.org>", "a source route"),
    (b"<a@b.example> SIZE=1", "a parameter"),
]
# the tests that public relay testers make: MAIL FROM, RCPT TO
KNOWN = [
    (b"<spamtest@attacker.example>", b"<relaytest@victim.example>"),
    (b"<spamtest@attacker.example>", b"relaytest@victim.example"),
    (b"<spamtest>", b"<relaytest@victim.example>"),
    (b"<>", b"<relaytest@victim.example>"),
    (b"<spamtest@mx.example.org>", b"<relaytest@victim.example>"),
    (b"<spamtest@[127.0.0.1]>", b"<relaytest@victim.example>"),
    (b"<spamtest@mx.example.org>", b"<relaytest%victim.example@mx.example.org>"),
    (b"<spamtest@mx.example.org>", b"<relaytest%victim.example@[127.0.0.1]>"),
    (b"<spamtest@mx.example.org>", b'<"relaytest@victim.example">'),
    (b"<spamtest@mx.example.org>", b'<"relaytest%victim.example">'),
    (b"<spamtest@mx.example.org>", b"<relaytest@victim.example@mx.example.org>"),
    (b"<spamtest@mx.example.org>", b'<"relaytest@victim.example"@mx.example.org>'),
    (b"<spamtest@mx.example.org>", b"<relaytest@victim.example@[127.0.0.1]>"),
    (b"<spamtest@mx.example.org>", b"<@mx.example.org:relaytest@victim.example>"),
    (b"<spamtest@mx.example.org>", b"<@[127.0.0.1]:relaytest@victim.example>"),
    (b"<spamtest@mx.example.org>", b"<victim.example!relaytest>"),
    (b"<spamtest@mx.example.org>", b"<victim.example!relaytest@mx.example.org>"),
    (b"<spamtest@mx.example.org>", b"<victim.example!relaytest@[127.0.0.1]>"),
    (b"<relaytest@victim.example>", b"<relaytest@victim.example>"),
]
# what some servers let a client say about itself before MAIL
CLAIMS = [
    (b"XCLIENT ADDR=127.0.0.2 NAME=friend.example", b"502 5.5.1"),
    (b"XFORWARD ADDR=127.0.0.2 NAME=friend.example", b"502 5.5.1"),
    (b"PROXY TCP4 127.0.0.2 127.0.0.1 1234 25", b"502 5.5.1"),
    (b"AUTH PLAIN AGFsaWNlAHNlY3JldA==", b"502 5.5.1"),
    (b"AUTH LOGIN", b"502 5.5.1"),
    (b"ETRN victim.example", b"502 5.5.1"),
    (b"TURN", b"502 5.5.1"),
    (b"EHLO [127.0.0.2]", b"250 ENHANCEDSTATUSCODES"),
    (b"EHLO mx.example.org", b"250 ENHANCEDSTATUSCODES"),
    (b"HELO localhost", b"250 "),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """All rows are tried on one host; whatever came through would be at the next host in the end."""
    with attacked(tmp_path_factory.mktemp("relay") / "host") as running:
        yield running
        assert [letter[1] for letter in running.reached()] == [(b"<friend@victim.example>",)]


def rcpt(host: Attacked, sender: bytes, recipient: bytes, before: bytes = b"", source: str = "127.0.0.1") -> bytes:
    """The answer to RCPT; if it was taken, the message goes all its way."""
    with host.smtp(source) as session:
        if before:
            session.say(before)
        assert session.say(b"MAIL FROM:" + sender)[:3] == b"250"
        answer = session.say(b"RCPT TO:" + recipient)
        ready = session.say(b"DATA")
        if answer[:1] == b"2":
            assert session.say(b"Subject: relayed\r\n\r\n.")[:3] == b"250"
        else:
            assert ready[:9] == b"503 5.5.1", "DATA without a recipient"
        return answer


@pytest.mark.parametrize(("path", "answer", "hope"), PATHS, ids=[row[2] for row in PATHS])
def test_a_recipient_elsewhere_is_refused(host: Attacked, path: bytes, answer: bytes, hope: str) -> None:
    """However it is written: 550 5.7.1 if it is another host's, 5.1.1 if it is nobody's, 501 or 553 if it is no address."""
    assert rcpt(host, SENDER, path)[: len(answer)] == answer, hope


@pytest.mark.parametrize(("sender", "hope"), SENDERS, ids=[row[1] for row in SENDERS])
def test_a_sender_proves_nothing(host: Attacked, sender: bytes, hope: str) -> None:
    """Whoever the message says it is from, a stranger may not relay."""
    assert rcpt(host, sender, b"<x@victim.example>")[:9] == DENIED, hope


@pytest.mark.parametrize(("claim", "answer"), CLAIMS, ids=[row[0].decode() for row in CLAIMS])
def test_a_client_is_who_it_is(host: Attacked, claim: bytes, answer: bytes) -> None:
    """Nothing that a client says about itself lets it relay; commands that would are not served."""
    with host.smtp() as session:
        assert session.say(claim).startswith(answer)
    assert rcpt(host, SENDER, b"<x@victim.example>", before=claim)[:9] == DENIED


@pytest.mark.parametrize(("sender", "recipient"), KNOWN, ids=[f"{number + 1}" for number in range(len(KNOWN))])
def test_the_public_testers_find_nothing(host: Attacked, sender: bytes, recipient: bytes) -> None:
    """What the well-known relay testers send is refused for good at RCPT."""
    assert rcpt(host, sender, recipient)[:2] == b"55" or rcpt(host, sender, recipient)[:3] == b"501"


# the recipient by QMTP, whose addresses have no grammar; the answer's code
PACKAGES = [
    (b"x@victim.example", b"5.7.1", "nobody asks"),
    (b"x%victim.example@example.org", b"5.7.1", "the percent hack"),
    (b"x@victim.example.", b"5.7.1", "a dot at the end"),
    (b"@example.org:x@victim.example", b"5.7.1", "a source route is no such thing here"),
    (b"x@victim.example> X=.backup.example", b"5.1.3", "a parameter for the next host of a domain that is taken"),
    (b"x@victim.example .backup.example", b"5.1.3", "a blank"),
    (b"x@victim.example,y.backup.example", b"5.1.3", "a list"),
    (b"x@victim.example\n.backup.example", b"5.1.3", "a line end"),
    (b"x@victim.example\r.backup.example", b"5.1.3", "half of one"),
    (b"x@victim.example>\r\nRCPT TO:<y@z.backup.example", b"5.1.3", "a whole command"),
    (b"x@victim.example\0.backup.example", b"5.1.3", "a NUL"),
    (b"x@[192.0.2.25].backup.example", b"5.1.3", "a literal in front"),
    (b"x@.backup.example", b"5.7.1", "the entry itself"),
    (b"", b"5.1.1", "nobody"),
]


@pytest.mark.parametrize(("recipient", "code", "hope"), PACKAGES, ids=[row[2] for row in PACKAGES])
def test_qmtp_is_no_way_around(host: Attacked, recipient: bytes, code: bytes, hope: str) -> None:
    """The same policy, and an address that would be more than one for the next host is none."""
    (answer,) = host.package(b"\nSubject: relayed\n\n", recipient, sender=b"s@attacker.example")
    assert answer[:1] == b"D", hope
    assert answer.endswith(b"(#%b)" % code), hope


def test_qmqp_hangs_up_on_a_stranger(host: Attacked) -> None:
    """It relays for the networks of listen.qmqp.allow, and reads nothing of others."""
    with host.attacker("qmqp") as session:
        assert session.line() == b""


# `sendmail -bs` reads addresses as in a header: it passes over comments, and over what follows the first path
FOR_ALICE = (
    b"<alice@example.org><x@victim.example>",
    b"<alice@example.org> <x@victim.example>",
    b"<(x@victim.example)alice@example.org>",
)


def test_sendmail_bs_is_no_way_around(host: Attacked) -> None:
    """As a network server starts it (PROTO), it takes what is for alice and nothing else; RELAYCLIENT is no command."""
    paths = [path for path, answer, _ in PATHS if answer != b"500 5.5.2"]
    said = b"".join(b"RCPT TO:%b\r\n" % path for path in paths)
    letter = b"RELAYCLIENT=\r\nMAIL FROM:<s@a.example>\r\n%bDATA\r\nSubject: bs\r\n\r\n.\r\nQUIT\r\n" % said
    done = host.command("sendmail", "-bs", letter=letter, PROTO="TCP", TCPREMOTEIP="192.0.2.7")
    _, unknown, mail, *answers, ready, taken, _goodbye, _ = done.stdout.split(b"\r\n")
    assert [unknown[:3], mail[:3], ready[:3], taken[:3]] == [b"502", b"250", b"354", b"250"]
    assert [path for path, answer in zip(paths, answers, strict=True) if answer[:1] != b"5"] == list(FOR_ALICE)
    host.settled()
    assert sum(b"Subject: bs\n" in mail for mail in host.appliance.mailbox("alice")) == 3


def test_who_may_relay_is_relayed(host: Attacked) -> None:
    """Else the other tests would show nothing."""
    assert rcpt(host, SENDER, b"<friend@victim.example>", source=FRIEND)[:3] == b"250"
