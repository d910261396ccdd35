"""A message leaves for the next host, whatever that host does."""

import os
from collections.abc import Callable

import pytest
from appliance_process import Appliance, free_port, wait_until
from real_peers import Postfix, Sink

RELAY = (
    'relay: {{allow_from: [127.0.0.1/32]}}\nroutes:\n  - {{domain: partner.example, via: "smtp://127.0.0.1:{port}"}}\n'
)


def test_a_message_reaches_a_real_postfix_through_a_route(
    appliance: Callable[..., Appliance], postfix: Postfix
) -> None:
    """Mail for a partner's domain goes to the host that the route names, byte for byte."""
    postfix.start()
    running = appliance(RELAY.format(port=postfix.port)).start()
    running.send("carol@partner.example", text=".a line with a dot\r\n..two\r\nlast")
    (mail,) = wait_until(postfix.mailbox, 15, "the mail in Postfix's Maildir")
    assert mail.endswith(b"\n\n.a line with a dot\n..two\nlast\n")
    (line,) = wait_until(lambda: running.log("delivered"), 5, "the log line")
    assert "250" in str(line["text"])
    wait_until(lambda: not running.queue(), 5, "an empty queue")


def test_a_refused_recipient_comes_back_as_one_bounce(appliance: Callable[..., Appliance], postfix: Postfix) -> None:
    """The sender gets one bounce that says who refused and why; the others get their mail."""
    postfix.start()
    running = appliance(RELAY.format(port=postfix.port)).start()
    running.send("nobody@partner.example", "carol@partner.example", sender="bob@example.org")
    (bounce,) = wait_until(lambda: running.mailbox("bob"), 15, "a bounce for bob")
    assert bounce.startswith(b"Return-Path: <>\n")
    assert b"<nobody@partner.example>:\n" in bounce
    assert b"550 5.1.1" in bounce
    assert b"carol@partner.example>:" not in bounce
    wait_until(postfix.mailbox, 10, "carol's mail")
    wait_until(lambda: not running.queue(), 5, "an empty queue")
    assert len(running.mailbox("bob")) == 1


def test_a_bounce_that_fails_goes_to_the_postmaster(appliance: Callable[..., Appliance], sink: Sink) -> None:
    """A double bounce lies in the postmaster's mailbox."""
    sink.start("-f", "RCPT")
    running = appliance(RELAY.format(port=sink.port)).start()
    running.send("x@partner.example", sender="y@partner.example")
    (bounce,) = wait_until(lambda: running.mailbox("alice"), 15, "a double bounce for the postmaster (alice)")
    assert bounce.startswith(b"Return-Path: <#@[]>\n")
    wait_until(lambda: not running.queue(), 5, "an empty queue")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-r", "MAIL"], "a temporary refusal of the sender"),
        (["-r", "RCPT"], "a temporary refusal of the recipient"),
        (["-r", "DATA"], "a temporary refusal of DATA"),
        (["-r", "."], "a temporary refusal after the dot"),
        (["-q", "MAIL"], "a hang-up after MAIL"),
        (["-q", "."], "a hang-up after the dot"),
        (["-Q", "DATA"], "421 and a hang-up"),
        (["-f", "EHLO,HELO"], "a refusal of any greeting"),
    ],
)
def test_what_a_peer_does_wrong_for_now_only_defers(
    appliance: Callable[..., Appliance], sink: Sink, options: list[str], why: str
) -> None:
    """A temporary failure of the next host keeps the message, with the reason in log and queue."""
    sink.start(*options)
    running = appliance(RELAY.format(port=sink.port)).start()
    message = running.send("x@partner.example", sender="bob@example.org")
    wait_until(lambda: running.log("deferred"), 15, why)
    (waiting,) = running.queue()
    assert waiting["message"] == message
    assert not running.mailbox("bob")


def test_a_dead_host_is_tried_again_on_schedule_and_finally_bounced(
    appliance: Callable[..., Appliance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts at 0, 400, 1600, 3600 s (qmail's squares); after the queue's lifetime the sender hears of it."""
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1".replace("x86_64", os.uname().machine)
    if not os.path.exists(library):
        pytest.skip("libfaketime is not here (Debian package libfaketime)")
    more = RELAY.format(port=free_port()) + "queue: {lifetime: 30m}\n"
    monkeypatch.setenv("LD_PRELOAD", library)
    monkeypatch.setenv("FAKETIME", "+0 x600")
    running = appliance(more)
    running.start()
    monkeypatch.delenv("LD_PRELOAD")

    def sent() -> str | None:
        try:
            return running.send("x@partner.example", sender="bob@example.org")
        except (
            AssertionError
        ):  # 451, for at this pace half a second without the processor is a timeout: as a client, come back
            return None

    wait_until(sent, 20, "250")
    (bounce,) = wait_until(lambda: running.mailbox("bob"), 60, "a bounce for bob")
    assert b"<x@partner.example>:\n" in bounce
    (failed,) = running.log("failed")
    tries = [line["attempt"] for line in running.log("deferred")]
    assert tries == list(range(1, failed["attempt"]))
    assert failed["attempt"] in (
        2,
        3,
        4,
    )  # each second without the processor is ten minutes: the last one comes earlier
