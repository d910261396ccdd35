"""What senders are told, through the whole appliance with real hosts that refuse; and the log as qmail-send writes it."""

import email
import email.policy
import re
import signal
from collections.abc import Callable
from email.message import EmailMessage

from appliance_process import Appliance, free_port, wait_until
from real_peers import Postfix, Sink

RELAY = (
    "relay: {{allow_from: [127.0.0.1/32]}}\nroutes:\n  - {{domain: partner.example, via: 'smtp://127.0.0.1:{port}'}}\n"
)
DEAD = "  - {{domain: dead.example, via: 'smtp://127.0.0.1:{port}'}}\n"
LIST = """\
      team-list: [x@partner.example, y@partner.example]
      team-list-owner: [alice]
      team-list-owner-default: [bob]
"""


def read(mail: bytes) -> tuple[EmailMessage, list[dict[str, str]], EmailMessage]:
    """The text of a notification, its groups of fields, and what it is about."""
    message = email.message_from_bytes(mail, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    text, status, original = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(original, EmailMessage)
    return text, [dict(group.items()) for group in status.get_payload()], original


def test_a_refusal_of_postfix_in_fields(appliance: Callable[..., Appliance], postfix: Postfix) -> None:
    """Who was refused, with which status, by whom and in which words: a program reads it from the fields."""
    postfix.start()
    running = appliance(RELAY.format(port=postfix.port)).start()
    running.send("nobody@partner.example", sender="bob@example.org", text="my words")
    (mail,) = wait_until(lambda: running.mailbox("bob"), 15, "a bounce for bob")
    text, (about, failure), original = read(mail)
    assert "<nobody@partner.example>:\n127.0.0.1 does not like recipient.\n" in text.get_content()
    assert about["Reporting-MTA"] == "dns; mx.example.org"
    assert failure["Final-Recipient"] == "rfc822; nobody@partner.example"
    assert (failure["Action"], failure["Status"]) == ("failed", "5.1.1")
    assert failure["Remote-MTA"] == "dns; [127.0.0.1]"
    assert failure["Diagnostic-Code"].startswith("smtp; 550 5.1.1 ")
    assert original.get_content_type() == "message/rfc822"
    assert original.get_content().get_content().strip() == "my words"


def test_a_large_message_goes_back_as_its_header(appliance: Callable[..., Appliance], sink: Sink) -> None:
    """A bounce of 5 MB is a few kilobytes."""
    sink.start("-f", "RCPT")
    running = appliance(RELAY.format(port=sink.port)).start()
    running.send("x@partner.example", sender="bob@example.org", text="0123456789\r\n" * 400_000)
    (mail,) = wait_until(lambda: running.mailbox("bob"), 30, "a bounce for bob")
    _, _, original = read(mail)
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Subject: test" in original.get_content()
    assert len(mail) < 10_000


def test_a_failure_is_told_while_another_host_is_down(appliance: Callable[..., Appliance], sink: Sink) -> None:
    """The failure after a second, as configured; the delay with the next attempt, here by SIGALRM; nothing twice."""
    sink.start("-f", "RCPT")
    more = RELAY.format(port=sink.port) + DEAD.format(port=free_port())
    running = appliance(more + "bounces: {report_after: 1s, delay_notice: 3s}\n").start()
    running.send("x@partner.example", "y@dead.example", sender="bob@example.org")
    (mail,) = wait_until(lambda: running.mailbox("bob"), 15, "a bounce for bob")
    _, (_, failure), _ = read(mail)
    assert failure["Final-Recipient"] == "rfc822; x@partner.example"
    (waiting,) = running.queue()
    assert [entry["address"] for entry in waiting["recipients"]] == ["y@dead.example"]
    assert running.process is not None

    def late() -> bool:
        running.process.send_signal(signal.SIGALRM)
        return len(running.mailbox("bob")) > 1

    wait_until(late, 15, "a delay notice")
    attempts = len(running.log("deferred"))
    assert attempts > 1
    wait_until(lambda: late() and len(running.log("deferred")) > attempts, 15, "one more attempt")
    _, delay = running.mailbox("bob")
    _, (_, fields), original = read(delay)
    assert (fields["Final-Recipient"], fields["Action"]) == ("rfc822; y@dead.example", "delayed")
    assert fields["Status"] == "4.4.1"
    assert original.get_content_type() == "text/rfc822-headers"


def test_each_subscriber_has_a_sender_of_its_own(appliance: Callable[..., Appliance], sink: Sink) -> None:
    """VERP: the next host sees list-owner-x=host, a message each; what can't be delivered comes to list-owner-@."""
    yaml = RELAY.format(port=sink.port)
    running = appliance()
    running.configure(running.config.read_text().replace("      team:", LIST + "      team:") + yaml)
    sink.start()
    running.start()
    running.send("team-list@example.org")
    mails = wait_until(lambda: len(found := sink.messages()) == 2 and found, 15, "two messages")
    senders = sorted(re.search(rb"^X-Mail-Args: <([^>]*)>", mail, re.MULTILINE)[1] for mail in mails)
    assert senders == [b"team-list-owner-%b=partner.example@example.org" % who for who in (b"x", b"y")]
    assert all(len(re.findall(rb"^X-Rcpt-Args:", mail, re.MULTILINE)) == 1 for mail in mails)
    sink.stop()
    sink.start("-f", "RCPT")
    running.send("team-list@example.org")
    bounces = wait_until(lambda: running.mailbox("bob"), 15, "bounces for the list's owner")
    failed = {fields["Final-Recipient"] for mail in bounces for fields in read(mail)[1][1:]}
    assert failed == {"rfc822; x@partner.example", "rfc822; y@partner.example"}
    assert not running.mailbox("alice")


def test_the_log_in_qmails_form(appliance: Callable[..., Appliance], sink: Sink) -> None:
    """From the first status to the last, with what smtpd and local say left out: the queue tells it all."""
    sink.start("-f", "RCPT")
    running = appliance(RELAY.format(port=sink.port) + "log: {format: qmail}\n").start()
    name = running.send("alice@example.org", "x@partner.example", sender="bob@example.org")
    wait_until(lambda: running.mailbox("bob"), 15, "a bounce for bob")
    wait_until(lambda: not running.queue(), 10, "an empty queue")
    assert running.queue() == []
    assert running.stop() == 0
    lines = running.log_file.read_text().splitlines()
    while lines[0].startswith("{"):  # before the configuration was read
        del lines[0]
    assert all(re.match(r"@4[0-9a-f]{23} ", line) for line in lines)
    told = [line[26:] for line in lines if not re.match(r"(\w+|mail.yaml): \w+ \{", line[26:])]
    assert not [line for line in told if line.startswith("alert:")]
    told = [line for line in told if not line.startswith("warning:")]
    assert (told[0], told[-1]) == ("status: local 0/10 remote 0/20", "status: exiting")
    first = next(line.split(" ")[2] for line in told if line.startswith("new msg "))
    kinds = [line for line in told if f"msg {first}" in line]
    assert re.fullmatch(rf"info msg {first}: bytes \d+ from <bob@example.org> qp \d+ uid \d+", kinds[1])
    assert sorted(line.split(" to ")[1] for line in kinds if line.startswith("starting delivery")) == [
        "local example.org-alice@example.org",
        "remote x@partner.example",
    ]
    assert kinds[-1] == f"end msg {first}"
    assert kinds[-2].startswith(f"bounce msg {first} qp ")
    assert any(
        re.fullmatch(r"delivery \d+: failure: 127\.0\.0\.1_does_not_like_recipient\./Remote_host_said:.*/", line)
        for line in told
    )
    assert sum(line.startswith("new msg ") for line in told) == sum(line.startswith("end msg ") for line in told) == 2
    assert name not in "".join(told)
