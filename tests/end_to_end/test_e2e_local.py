"""A message comes in by SMTP and lies in the right mailbox."""

import imaplib
import os
import smtplib
import subprocess
from collections.abc import Callable

import pytest
from appliance_process import Appliance, wait_until
from real_peers import Dovecot, need


def test_a_message_is_delivered_to_a_maildir(appliance: Callable[..., Appliance]) -> None:
    """A message to a mailbox lies in its Maildir, with the trace of its way on top."""
    running = appliance().start()
    message = running.send("alice@example.org")
    (mail,) = wait_until(lambda: running.mailbox("alice"), 5, "the mail in alice's Maildir")
    lines = mail.split(b"\n")
    assert lines[0] == b"Return-Path: <sender@client.example>"
    assert lines[1] == b"Delivered-To: example.org-alice@example.org"
    assert lines[2].startswith(f"Received: (paperpath {message} invoked from network); ".encode())
    assert lines[3].startswith(b"Received: from ")
    assert mail.endswith(b"Subject: test\n\nhello\n")
    for event in ("received", "delivered", "finished"):
        wait_until(lambda e=event: [line for line in running.log(e) if line["message"] == message], 5, event)
    assert running.queue() == []


def test_swaks_sends_and_dovecot_shows_the_mail(appliance: Callable[..., Appliance], dovecot: Dovecot) -> None:
    """What a real client sends, a real IMAP server shows to its owner."""
    swaks = need("swaks", "swaks")
    running = appliance().start()
    command = [swaks, "--server", f"127.0.0.1:{running.port}", "--to", "alice@example.org", "--body", "by swaks"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    wait_until(lambda: running.mailbox("alice"), 5, "the mail")
    dovecot.start(running.state / "mail/example.org/alice/Maildir")

    def login() -> imaplib.IMAP4 | None:
        try:
            session = imaplib.IMAP4("127.0.0.1", dovecot.port, timeout=60)
        except OSError:
            return None
        session.login("alice", "secret")
        return session

    session = wait_until(login, 10, "Dovecot to answer")
    assert session.select("INBOX")[1] == [b"1"]
    assert b"by swaks" in session.fetch("1", "(RFC822)")[1][0][1]
    session.logout()


def test_an_alias_reaches_all_its_members(appliance: Callable[..., Appliance]) -> None:
    """A message to an alias is a new message to each member, once."""
    running = appliance().start()
    running.send("team@example.org")
    wait_until(lambda: running.mailbox("alice") and running.mailbox("bob"), 5, "both mailboxes")
    wait_until(lambda: not running.queue(), 5, "an empty queue")
    assert len(running.mailbox("alice")) == len(running.mailbox("bob")) == 1
    assert b"Delivered-To: example.org-team@example.org" in running.mailbox("bob")[0]


def test_bare_postmaster_reaches_the_first_domains_postmaster(appliance: Callable[..., Appliance]) -> None:
    """RFC 5321 section 4.5.1: postmaster without a domain must be accepted; cron's mail to root, and answers to bounces, go there, too."""
    running = appliance().start()
    for recipient in ("postmaster", "PostMaster@MX.example.org", "root", "Mailer-Daemon@mx.example.org"):
        running.send(recipient)
    wait_until(lambda: len(running.mailbox("alice")) == 4, 5, "all in alice's mailbox")


def test_who_does_not_exist_is_refused_before_data(appliance: Callable[..., Appliance]) -> None:
    """No backscatter: an unknown recipient of ours is a 550 5.1.1 at RCPT."""
    running = appliance().start()
    with running.smtp() as session:
        session.ehlo()
        session.mail("sender@client.example")
        code, answer = session.rcpt("nobody@example.org")
        assert (code, answer[:5]) == (550, b"5.1.1")
        code, answer = session.rcpt("someone@elsewhere.example")
        assert (code, answer[:5]) == (550, b"5.7.1")


def test_catch_all_takes_the_rest_of_a_domain(appliance: Callable[..., Appliance]) -> None:
    """A catch-all receives what no mailbox and no alias of its domain claims."""
    more = "  second.example:\n    mailboxes: {carol: {}}\n    catch_all: carol\n"
    running = appliance(more).start()
    running.send("anything.at-all@second.example")
    wait_until(lambda: running.mailbox("carol", "second.example"), 5, "the mail at the catch-all")


def test_a_message_of_twenty_mebibytes_arrives_whole(appliance: Callable[..., Appliance]) -> None:
    """A message of any allowed size is the same at the end of its way, and fills no program's memory."""
    running = appliance().start()
    line = "0123456789" * 7
    text = "\r\n".join(line for _ in range(20 * 1024 * 1024 // 72))
    running.send("alice@example.org", text=text)
    wait_until(lambda: running.mailbox("alice"), 20, "the large mail")
    body = running.mailbox("alice")[0].split(b"\n\n", 1)[1]
    assert body == text.replace("\r\n", "\n").encode() + b"\n"


def test_a_message_of_just_the_limit_is_taken_and_forwarded(appliance: Callable[..., Appliance]) -> None:
    """The limit counts what the sender wrote (trap 26): neither our trace lines nor what a forward adds."""
    running = appliance("limits: {message_size: 1MB}").start()
    header = len("From: sender@client.example\nSubject: test\n\n")
    text = "\r\n".join(["x" * 99] * 9999)
    text += "\r\n" + "y" * (1_000_000 - header - len(text.replace("\r\n", "\n")) - 2)
    running.send("alice@example.org", "team@example.org", text=text)
    wait_until(lambda: (len(running.mailbox("alice")), len(running.mailbox("bob"))) == (2, 1), 10, "three copies")
    assert len(running.mailbox("bob")[0].partition(b"From: sender")[2]) == 1_000_000 - len("From: sender")
    with running.smtp() as session, pytest.raises(smtplib.SMTPSenderRefused, match="too large"):
        session.sendmail("sender@client.example", ["alice@example.org"], f"From: x\r\n\r\n{text}{'z' * header}\r\n")


@pytest.mark.parametrize("client", ["msmtp", "curl"])
def test_everyday_clients_get_through(appliance: Callable[..., Appliance], client: str, tmp_path) -> None:
    """Clients such as msmtp and curl deliver without any special setting."""
    program = need(client, client)
    running = appliance().start()
    mail = tmp_path / "mail"
    mail.write_text("Subject: everyday\n\nhello\n")
    command = {
        "msmtp": [program, "--host=127.0.0.1", f"--port={running.port}", "--from=a@b.example", "alice@example.org"],
        "curl": [
            *(program, "-sS", f"smtp://127.0.0.1:{running.port}/client.example", "--mail-from", "a@b.example"),
            *("--mail-rcpt", "alice@example.org", "--crlf", "-T", str(mail)),
        ],
    }[client]
    with mail.open("rb") as content:
        done = subprocess.run(command, stdin=content, capture_output=True, check=False, env={**os.environ, "HOME": "/"})
    assert done.returncode == 0, done.stderr
    wait_until(lambda: running.mailbox("alice"), 5, "the mail")


def test_smtp_source_floods_and_nothing_is_lost(appliance: Callable[..., Appliance]) -> None:
    """Two thousand messages over twenty sessions are two thousand files."""
    program = need("smtp-source", "postfix")
    running = appliance().start()
    command = [program, "-s", "20", "-m", "2000", "-l", "4096", "-f", "a@b.example", "-t", "alice@example.org"]
    subprocess.run([*command, f"127.0.0.1:{running.port}"], check=True, timeout=60)
    wait_until(lambda: not running.queue(), 30, "an empty queue")
    assert len(running.mailbox("alice")) == 2000
