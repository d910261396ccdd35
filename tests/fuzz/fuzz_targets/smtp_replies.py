"""A server's replies to remote: each message gets one result a recipient, and nothing of the peer's is sent back as a command."""

import host

from appliance.errors import Result
from appliance.remote import reports
from appliance.remote.client import Client, Phase
from appliance.remote.transaction import Transaction

WORDS = (
    b"220 a\r\n",
    b"250-PIPELINING\r\n",
    b"250 SIZE 9\r\n",
    b"250 ok\r\n",
    b"354 go\r\n",
    b"421 bye\r\n",
    b"550 5.1.1 no\r\n",
)
WORDS += (
    b"250-8BITMIME\r\n",
    b"250-SMTPUTF8\r\n",
    b"250-",
    b"452 4.3.1 x\r\n",
    b"500 x\r\n",
    b"\r",
    b"\n",
    b"999 ",
    b"000\r\n",
)
_SENDERS = (b"s@a.example", b"", b"#@[]", b"x-@a.example-@[]", b'a "b@a.example', b"\xc3\xa4@a.example")
_VERBS = (b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"QUIT", b".")


def target(data: bytes) -> None:
    client = Client(b"mx.here.example")
    begun: list[Transaction] = []
    ended: list[Transaction] = []
    sent = b""
    for piece in host.pieces(data):
        ended += client.receive(piece)
        if client.broken:
            break
        while client.room and len(begun) < 6:
            begun.append(_transaction(len(begun)))
            client.begin(begun[-1])
        sent += client.output()
        if client.stream is not None:
            sent += b"streamed\r\n"
            client.streamed()
            sent += client.output()
    if not client.broken and client.phase is not Phase.REFUSED:
        client.quit()
        sent += client.output()
    ended += client.lost("the test is over")
    assert [id(each) for each in ended] == [id(each) for each in begun]
    for transaction in ended:
        told = reports.reports(transaction, b"192.0.2.1")
        assert len(told) == len(transaction.recipients)
        assert all(b"\0" not in each.text and b"\r" not in each.text for each in told)
        done = any(each.result is Result.DONE for each in told)
        assert not done or (transaction.dot_sent and transaction.final is not None and transaction.final.code < 400)
    for line in sent.split(b"\r\n")[:-1]:
        assert line in (b"content", b"streamed") or line.partition(b" ")[0] in _VERBS, line


def _transaction(number: int) -> Transaction:
    recipients = tuple(b"r%d@b.example" % each for each in range(number % 3 + 1))
    body = None if number % 4 == 3 else b"content\r\n"
    return Transaction(_SENDERS[number % len(_SENDERS)], recipients, body, 9, eight_bit=number % 2 > 0)
