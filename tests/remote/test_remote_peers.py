"""Real TCP peers that behave, and that do not."""

import pytest
from remote_parts import CONTENT, DROP, HANG, Peer, attempt, delivery

from appliance.errors import Result


def test_a_message_reaches_the_next_host(tmp_path):
    """The peer has the content with CRLF and stuffed dots, and the report quotes its answer."""
    peer = Peer()
    [[report]] = attempt(tmp_path, peer, delivery(1))
    assert peer.messages == [CONTENT.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")]
    assert report.result is Result.DONE
    assert report.text == b"127.0.0.1 accepted message.\nRemote host said: 250 2.0.0 queued as 1\n"
    assert peer.connections[0][:4] == [
        b"EHLO mx.example.org\r\n",
        b"MAIL FROM:<a@example.org> SIZE=36\r\n",
        b"RCPT TO:<bob@example.net>\r\n",
        b"DATA\r\n",
    ]


ONCE = [
    # step, answer, results, what the report says, why
    ("greeting", b"421 busy", "Z", b"does not want to talk", "a busy host is for later"),
    ("greeting", b"554 go away", "Z", b"554 go away", "a 5xx greeting is about us, not about the mail"),
    ("greeting", DROP, "Z", b"#4.4.2", "no greeting"),
    ("greeting", HANG, "Z", b"in time", "a greeting that never comes"),
    ("greeting", b"HTTP/1.1 400 Bad Request", "Z", b"not an SMTP reply", "not a mail server"),
    ("EHLO", b"421 no", "Z", b"421 no", "our name is refused for now"),
    ("EHLO", HANG, "Z", b"hello", "EHLO is never answered"),
    ("MAIL", b"451 later", "Z", b"sender was rejected", "4xx is temporary"),
    ("MAIL", b"550 no", "D", b"sender was rejected.\nRemote host said: 550 no", "5xx is permanent"),
    ("MAIL", DROP, "Z", b"#4.4.2", "dropped before anything was sent"),
    ("MAIL", HANG, "Z", b"no answer to MAIL in time", "a step has a limit"),
    ("RCPT", b"450 greylisted", "Z", b"does not like recipient", "greylisting"),
    ("RCPT", b"550 5.1.1 unknown", "D", b"Giving up on 127.0.0.1.", "nobody there"),
    ("RCPT", HANG, "Z", b"no answer to RCPT", "a step has a limit"),
    ("DATA", b"451 no", "Z", b"DATA command", "4xx is temporary"),
    ("DATA", b"554 no", "D", b"DATA command", "5xx is permanent"),
    ("DATA", b"250 what", "Z", b"answer to DATA", "content must not be sent to be read as commands"),
    ("DATA", DROP, "Z", b"#4.4.2", "dropped before the content"),
    ("DOT", b"452 full", "Z", b"452 full", "4xx is temporary"),
    ("DOT", b"554 spam", "D", b"after the message was sent", "5xx is permanent"),
    ("DOT", DROP, "Z", b"Possible duplicate!", "the peer may have it"),
    ("DOT", HANG, "Z", b"Possible duplicate!", "the peer may have it"),
    ("DOT", b"\x00\xff garbage", "Z", b"Possible duplicate!", "nonsense is temporary"),
    ("DOT", b"x" * (1 << 20), "Z", b"not an SMTP reply", "a reply of 1 MiB is not kept"),
    ("MAIL", b"250-and\r\n" * 2000 + b"250 so on", "Z", b"without end", "a reply has at most 1,000 lines"),
    ("RCPT", b"550 \x1b[31mred\rline\x07", "D", b"550 ?[31mred?line?", "control characters stay out of bounces"),
    ("RCPT", b"550-%b\r\n" % (b"why" * 30) * 300 + b"550 so", "D", b"550-why", "a long 5xx is permanent too"),
]


@pytest.mark.parametrize(("step", "answer", "result", "text", "reason"), ONCE, ids=[f"{r[0]}: {r[4]}" for r in ONCE])
def test_every_answer_of_a_peer_has_its_result(tmp_path, step, answer, result, text, reason):
    """Whatever the peer answers at a step, the mail is reported once, as done, temporary or permanent."""
    [[report]] = attempt(tmp_path, Peer(**{step: answer}), delivery(1))
    assert report.result == result, reason
    assert text in report.text
    assert b"duplicate" not in report.text or step == "DOT"


def test_recipients_have_results_of_their_own(tmp_path):
    """One refused recipient does not keep the message from the others."""

    def rcpt(line: bytes) -> bytes:
        return b"550 no" if b"nobody" in line else b"451 later" if b"later" in line else b"250 ok"

    peer = Peer(RCPT=rcpt)
    [reports] = attempt(tmp_path, peer, delivery(1, b"a@x.example", b"nobody@x.example", b"later@x.example"))
    assert "".join(r.result for r in reports) == "KDZ"
    assert len(peer.messages) == 1


def test_a_peer_without_ehlo_is_greeted_with_helo(tmp_path):
    """An old server refuses EHLO and takes the mail command by command."""
    peer = Peer(EHLO=b"502 what?")
    results = attempt(tmp_path, peer, delivery(1), delivery(2))
    assert [[r.result for r in reports] for reports in results] == [["K"], ["K"]]
    assert peer.connections[0][1] == b"HELO mx.example.org\r\n"
    assert len(peer.messages) == 2


def test_without_pipelining_a_refused_message_leaves_no_trace(tmp_path):
    """After all recipients were refused the transaction is reset, and the next message goes on."""
    peer = Peer(EHLO=b"250 peer", RCPT=lambda line: b"550 no" if b"nobody" in line else b"250 ok")
    results = attempt(
        tmp_path, peer, delivery(1, b"nobody@x.example"), delivery(2, b"a@x.example"), concurrencyremote="1"
    )
    assert [[r.result for r in reports] for reports in results] == [["D"], ["K"]]
    assert b"RSET\r\n" in peer.connections[0]
    assert len(peer.connections) == 1


def test_a_lone_dot_ends_data_that_nobody_wants(tmp_path):
    """A peer that refused all recipients and yet asks for the content gets none of it."""
    peer = Peer(RCPT=b"550 no")
    [[report]] = attempt(tmp_path, peer, delivery(1))
    assert report.result is Result.PERMANENT
    assert b"does not like recipient" in report.text
    assert peer.messages == [b""]


def test_a_peer_that_closes_after_two_messages_gets_all_of_them(tmp_path):
    """A connection that ends between messages is nobody's failure: the next one goes on another."""

    class Tired(Peer):
        async def _answer(self, writer, step, line):
            if step == "MAIL" and sum(c[:4] == b"MAIL" for c in self.connections[-1]) > 2:
                writer.write(b"421 enough\r\n")
                raise ConnectionResetError
            return await super()._answer(writer, step, line)

    peer = Tired()
    items = [delivery(n) for n in range(1, 8)]
    results = attempt(tmp_path, peer, *items, concurrencyremote="1")
    assert {r.result for [r] in results} == {"K"}
    assert len(peer.messages) == 7
    assert len(peer.connections) == 4


def test_a_message_larger_than_the_peer_takes_is_not_sent(tmp_path):
    """SIZE is looked at before MAIL is said (RFC 1870)."""
    peer = Peer(EHLO=b"250-peer\r\n250 SIZE 100")
    [[report]] = attempt(tmp_path, peer, delivery(1, content=b"x" * 200 + b"\n"))
    assert report.result is Result.PERMANENT
    assert b"#5.3.4" in report.text
    assert not any(c[:4] == b"MAIL" for c in peer.connections[0])


def test_eight_bit_content_is_declared(tmp_path):
    """BODY=8BITMIME is said when the peer knows it (RFC 6152)."""
    peer = Peer()
    attempt(tmp_path, peer, delivery(1, content="Grüße\n".encode()))
    assert peer.connections[0][1].endswith(b"SIZE=9 BODY=8BITMIME\r\n")


def test_an_address_with_a_line_end_is_never_sent(tmp_path):
    """It would be a command of its own."""
    peer = Peer()
    [[report]] = attempt(tmp_path, peer, delivery(1, b"a\r\nRCPT TO:<evil>\r\n@x.example"))
    assert report.result is Result.PERMANENT
    assert not peer.messages


def test_a_refused_connection_is_temporary(tmp_path):
    """Nobody listens: later, and the report names the address."""

    class Gone(Peer):
        route = "[127.0.0.1]:1"

    [[report]] = attempt(tmp_path, Gone(), delivery(1))
    assert report.result is Result.TEMPORARY
    assert report.text == b"No connection to 127.0.0.1[127.0.0.1]:1: Connection refused. (#4.4.1)\n"


def test_each_recipient_of_a_list_has_a_sender_of_its_own(tmp_path):
    """VERP: `pre@host-@[]` is `prer=rh@host` for r@rh, other senders stay; the peer sees a transaction for each recipient."""
    peer = Peer()
    verp, plain = b"list-@lists.example-@[]", b"list-@[]"
    ones = [
        delivery(1, b"a+b@x.example"),
        delivery(2, b"C@x.example"),
        delivery(3, b"d@x.example"),
        delivery(4, b"e@x.example"),
    ]
    for one, sender in zip(ones, (verp, verp, plain, b""), strict=True):
        one.sender = sender
    assert attempt(tmp_path, peer, *ones)
    said = [line for lines in peer.connections for line in lines if line.startswith((b"MAIL", b"RCPT"))]
    pairs = {(said[at].split(b">")[0], said[at + 1].strip()) for at in range(0, len(said), 2)}
    assert pairs == {
        (b"MAIL FROM:<list-a+b=x.example@lists.example", b"RCPT TO:<a+b@x.example>"),
        (b"MAIL FROM:<list-C=x.example@lists.example", b"RCPT TO:<C@x.example>"),
        (b"MAIL FROM:<list-@[]", b"RCPT TO:<d@x.example>"),
        (b"MAIL FROM:<", b"RCPT TO:<e@x.example>"),
    }
