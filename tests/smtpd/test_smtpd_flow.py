"""A message's way through smtpd into the queue."""

import smtplib

import pytest


def test_a_message_from_smtplib_reaches_the_queue_with_its_trace(smtpd):
    """What a client sends stands in the queue behind one Received field, LF inside."""
    with smtplib.SMTP("127.0.0.1", smtpd.port, local_hostname="client.example") as client:
        client.sendmail("sender@example.net", ["alice@example.org"], "Subject: hello\r\n\r\n.dot\r\nbody\r\n")
    [(sender, recipients, content)] = smtpd.queue.messages
    trace, rest = content.split(b"\n", 2)[:2], content.split(b"\n", 2)[2]
    assert (sender, recipients) == (b"sender@example.net", (b"alice@example.org",))
    assert trace[0] == b"Received: from unknown (HELO client.example) (127.0.0.1)"
    assert trace[1].startswith(b"  by mx.example.org with ESMTP; ")
    assert rest == b"Subject: hello\n\n.dot\nbody\n"
    assert smtpd.wait_for("received")["message"] == "message1"


@pytest.mark.parametrize("smtpd", [{"databytes": "0\n"}], indirect=True)
def test_a_large_message_streams(smtpd):
    """30 MB reach the queue whole while smtpd stays small."""
    line = b"x" * 998 + b"\r\n"
    before = smtpd.memory()
    with smtpd.connect() as client:
        client.begin()
        for _ in range(3000):
            client.send(line * 10)
        assert client.say(b".") == b"250 2.0.0 accepted message1"
    content = smtpd.queue.messages[0][2]
    assert content.split(b"\n", 2)[2] == (b"x" * 998 + b"\n") * 30000
    assert smtpd.memory() - before < 8 * 1024 * 1024
