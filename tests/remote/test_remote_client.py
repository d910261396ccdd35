"""The SMTP client without a socket: dialogues byte by byte."""

import pytest

from appliance.remote.client import Client, Phase
from appliance.remote.reports import reports
from appliance.remote.reports import said as quoted
from appliance.remote.transaction import Transaction
from appliance.reply import Reply

ESMTP = b"250-peer\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
ONE = b"MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n"
TWO = b"MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nRCPT TO:<q@y>\r\nDATA\r\n"


def ready(hello: bytes = ESMTP) -> Client:
    client = Client(b"me")
    client.receive(b"220 hi\r\n")
    assert client.output() == b"EHLO me\r\n"
    client.receive(hello)
    return client


def transaction(*recipients: bytes, body: bytes = b"body\r\n") -> Transaction:
    return Transaction(b"s@x", recipients or (b"r@y",), body, len(body), eight_bit=False)


HELLOS = [
    ([b"220 hi\r\n", ESMTP], b"EHLO me\r\n", Phase.READY, "ESMTP"),
    ([b"220-hi\r\n220 ho\r\n", b"250 ok\r\n"], b"EHLO me\r\n", Phase.READY, "a greeting of two lines"),
    ([b"220 hi\r\n", b"502 no\r\n", b"250 ok\r\n"], b"EHLO me\r\nHELO me\r\n", Phase.READY, "HELO after 5xx"),
    ([b"220 hi\r\n", b"502 no\r\n", b"550 no\r\n"], b"EHLO me\r\nHELO me\r\n", Phase.REFUSED, "HELO refused"),
    ([b"220 hi\r\n", b"421 no\r\n"], b"EHLO me\r\n", Phase.REFUSED, "4xx to EHLO: no second try here"),
    ([b"554 no\r\n"], b"", Phase.REFUSED, "refused at the door"),
    ([b"250 hi\r\n"], b"", Phase.REFUSED, "exactly 220, as in qmail"),
    ([b"SSH-2.0-x\r\n"], b"", Phase.ENDING, "not SMTP"),
]


@pytest.mark.parametrize(("said", "sent", "phase", "reason"), HELLOS, ids=[row[3] for row in HELLOS])
def test_trap_28_how_a_dialogue_begins(said, sent, phase, reason):
    """Greeting, EHLO, HELO."""
    client, output = Client(b"me"), b""
    for data in said:
        client.receive(data)
        output += client.output()
    assert (client.phase, output) == (phase, sent), reason


OK3 = b"250 ok\r\n250 ok\r\n354 go\r\n"
PIPELINED = [
    ([OK3, b"250 done\r\n"], b"body\r\n.\r\n", "K", "accepted"),
    ([b"250 ok\r\n250", b" ok\r\n35", b"4 go\r\n", b"250 done\r\n"], b"body\r\n.\r\n", "K", "cut anywhere"),
    ([b"354 ok\r\n251 will forward\r\n354 go\r\n", b"354 odd\r\n"], b"body\r\n.\r\n", "K", "below 400 is a yes"),
    ([OK3, b"450 later\r\n"], b"body\r\n.\r\n", "Z", "refused for now after the dot"),
    ([OK3, b"550 no\r\n"], b"body\r\n.\r\n", "D", "refused after the dot"),
    ([b"550 no\r\n503 a\r\n503 b\r\n"], b"RSET\r\n", "D", "sender refused: reset before the next"),
    ([b"451 no\r\n503 a\r\n503 b\r\n"], b"RSET\r\n", "Z", "503 is the echo of a 451, not a verdict"),
    ([b"250 ok\r\n550 a\r\n554 b\r\n"], b"RSET\r\n", "D", "recipient refused"),
    ([b"250 ok\r\n450 a\r\n554 b\r\n"], b"RSET\r\n", "Z", "greylisted: the 554 to DATA is its echo"),
    ([b"250 ok\r\n550 a\r\n354 b\r\n", b"554 c\r\n"], b".\r\n", "D", "RFC 2920: a lone dot"),
    ([b"250 ok\r\n450 a\r\n354 b\r\n", b"250 c\r\n"], b".\r\n", "Z", "a lone dot accepted is no delivery"),
    ([b"250 ok\r\n250 ok\r\n451 no\r\n"], b"RSET\r\n", "Z", "DATA refused for now"),
    ([b"250 ok\r\n250 ok\r\n554 no\r\n"], b"RSET\r\n", "D", "DATA refused"),
]


@pytest.mark.parametrize(("said", "sent", "result", "reason"), PIPELINED, ids=[row[3] for row in PIPELINED])
def test_one_message_pipelined(said, sent, result, reason):
    """MAIL, RCPT and DATA leave together; the answers decide."""
    client, output, finished = ready(), b"", []
    one = transaction()
    client.begin(one)
    assert client.output() == ONE
    for data in said:
        finished += client.receive(data)
        output += client.output()
    assert finished == [one]
    assert output == sent, reason
    assert [report.result for report in reports(one, b"192.0.2.1")] == [result], reason


def test_some_recipients_are_refused():
    """The message goes to those who were accepted."""
    client, one = ready(), transaction(b"r@y", b"q@y")
    client.begin(one)
    assert client.output() == TWO
    client.receive(b"250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    assert client.output() == b"body\r\n.\r\n"
    client.receive(b"250 done\r\n")
    assert "".join(report.result for report in reports(one, b"ip")) == "DK"


@pytest.mark.parametrize(("answers", "results"), [(b"250 ok\r\n552 too many", "KZ"), (b"552 full\r\n552 full", "DD")])
def test_too_many_recipients_at_once_come_again(answers, results):
    """552 beside an accepted recipient is temporary (RFC 5321 section 4.5.3.1.10), alone it is permanent."""
    client, one = ready(), transaction(b"r@y", b"q@y")
    client.begin(one)
    client.receive(
        b"250 ok\r\n" + answers + (b"\r\n354 go\r\n250 done\r\n" if b"250" in answers else b"\r\n554 no\r\n")
    )
    assert "".join(report.result for report in reports(one, b"ip")) == results


def test_the_next_message_follows_the_dot_at_once():
    """RFC 2920 section 3.1: the content's end may begin the next group."""
    client, one, two = ready(), transaction(), transaction()
    client.begin(one)
    client.output()
    assert not client.room
    client.receive(OK3)
    assert client.room
    client.begin(two)
    assert client.output() == b"body\r\n.\r\n" + ONE
    assert client.receive(b"250 first\r\n250 ok\r\n250 ok\r\n") == [one]
    assert client.receive(b"354 go\r\n") == []
    assert client.output() == b"body\r\n.\r\n"
    assert client.receive(b"250 second\r\n") == [two]


def test_without_pipelining_each_answer_is_awaited():
    """One command, one answer, and the next message only after the last one's end."""
    client, one = ready(b"250 peer\r\n"), transaction(b"r@y", b"q@y")
    client.begin(one)
    dialogue = [
        (b"250 ok\r\n", b"RCPT TO:<r@y>\r\n"),
        (b"550 no\r\n", b"RCPT TO:<q@y>\r\n"),
        (b"250 ok\r\n", b"DATA\r\n"),
        (b"354 go\r\n", b"body\r\n.\r\n"),
        (b"250 ok\r\n", b""),
    ]
    assert client.output() == b"MAIL FROM:<s@x>\r\n"
    for said, sent in dialogue:
        assert not client.room
        client.receive(said)
        assert client.output() == sent
    assert client.room


def test_a_lost_connection_leaves_the_open_messages():
    """The one whose dot was sent may be a duplicate; the one behind it was never begun."""
    client, one, two = ready(), transaction(), transaction()
    client.begin(one)
    client.receive(OK3)
    client.begin(two)
    assert client.lost("gone") == [one, two]
    assert (one.dot_sent, two.dot_sent, two.mail) == (True, False, None)
    assert b"Possible duplicate!" in reports(one, b"ip")[0].text
    assert b"duplicate" not in reports(two, b"ip")[0].text


def test_421_ends_the_connection_for_further_mail():
    """RFC 5321 section 3.8: the server is going away."""
    client, one = ready(), transaction()
    client.begin(one)
    client.receive(b"421 going down\r\n")
    assert not client.room
    assert [report.result for report in reports(client.lost("closed")[0], b"ip")] == ["Z"]


@pytest.mark.parametrize("said", [b"250 out of step\r\n", b"421 idle too long\r\n", b"nonsense\r\n"])
def test_an_answer_to_no_question_ends_it(said):
    """Nothing after it can be trusted."""
    client = ready()
    client.receive(said)
    assert client.broken
    assert not client.room


MAILS = [
    (b"", b"MAIL FROM:<> SIZE=6 BODY=8BITMIME\r\n", "a bounce"),
    (b"#@[]", b"MAIL FROM:<> SIZE=6 BODY=8BITMIME\r\n", "a double bounce: the world knows no #@[]"),
    (b"a b@x", b'MAIL FROM:<"a b"@x> SIZE=6 BODY=8BITMIME\r\n', "quoted if it must be"),
    ("jörg@x".encode(), 'MAIL FROM:<"jörg"@x> SIZE=6 BODY=8BITMIME SMTPUTF8\r\n'.encode(), "RFC 6531"),
]


@pytest.mark.parametrize(("sender", "command", "reason"), MAILS, ids=[row[2] for row in MAILS])
def test_the_mail_command(sender, command, reason):
    """What is offered is used."""
    client = ready(b"250-peer\r\n250-SIZE 1000\r\n250-SMTPUTF8\r\n250 8bitmime\r\n")
    client.begin(Transaction(sender, (b"r@y",), b"body\r\n", 6, eight_bit=True))
    assert client.output() == command, reason


def test_of_what_a_peer_says_5000_bytes_are_kept():
    """All its lines, without what a terminal would obey (a NUL is a question mark)."""
    assert quoted(Reply(550, b"550-why\n550 so\0")) == b"Remote host said: 550-why\n550 so?"
    assert quoted(Reply(550, b"550 " + b"y" * 6000)) == b"Remote host said: 550 " + b"y" * 4996


def test_a_streamed_content_is_followed_by_its_dot():
    """A large message is sent by the session; an answer in the middle of it ends it."""
    client = ready()
    large = Transaction(b"s@x", (b"r@y",), None, 10**9, eight_bit=False)
    client.begin(large)
    client.output()
    client.receive(OK3)
    assert client.stream is large
    assert not client.room
    client.streamed()
    assert client.output() == b".\r\n"
    assert client.receive(b"250 done\r\n") == [large]


def test_a_refusal_in_the_middle_of_the_content_counts():
    """A peer that has seen enough need not wait for the dot."""
    client = ready()
    large = Transaction(b"s@x", (b"r@y",), None, 10**9, eight_bit=False)
    client.begin(large)
    client.receive(OK3)
    assert client.receive(b"552 too much\r\n") == [large]
    assert client.broken
    assert [report.result for report in reports(large, b"ip")] == ["D"]
