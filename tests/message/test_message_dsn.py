"""A delivery status notification is read by Python's email package, as mail programs and list managers read it."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.message import dsn, qsbmf
from appliance.message.notice import Notice

REFUSED = (
    b"192.0.2.1 does not like recipient.\nRemote host said: 550-5.1.1 <a@example.org>: unknown\n550 5.1.1 sorry\n"
    b"Giving up on 192.0.2.1.\n"
)
FULL = b"Mailbox full. (#5.2.2)\n"


def notice(*failures, **other):
    values = {
        "name": "1jzv3x0q8ma",
        "date": b"1 Nov 2026 00:00:00 -0000",
        "sender": b"MAILER-DAEMON@mx.example.org",
        "host": b"mx.example.org",
        "recipient": b"bob@elsewhere.example",
        "paragraphs": [qsbmf.paragraph(*failure) for failure in failures or [(b"a@example.org", REFUSED)]],
        "returned_to": b"bob@elsewhere.example",
        "arrived": b"31 Oct 2026 00:00:00 -0000",
        "original": b"Subject: x\nFrom: bob\n\ntext\n",
        "whole": True,
    }
    return Notice(**{**values, **other})


def read(*failures, **other):
    """The notification, and its three parts."""
    message = email.message_from_bytes(dsn.write(notice(*failures, **other)), policy=email.policy.default)
    assert not message.defects
    parts = list(message.iter_parts())
    assert not any(part.defects for part in parts)
    return message, *parts


def fields(status):
    """The groups of fields of the second part."""
    return [dict(group.items()) for group in status.get_payload()]


def test_three_parts():
    """A text for people, fields for programs, and the message: a multipart/report (RFC 3462 section 1)."""
    message, text, status, original = read()
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in (text, status, original)] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]
    assert text.get_content().startswith("Hi. This is the paperpath program at mx.example.org.\n")
    assert "<a@example.org>:\n192.0.2.1 does not like recipient.\n" in text.get_content()
    assert original.get_content()["Return-Path"] == "<bob@elsewhere.example>"
    assert original.get_content().get_content() == "text\n"


def test_header_says_who_wrote_it():
    """It has a date and an id, and says that a program wrote it (RFC 3834), so that no other program answers."""
    message, *_ = read()
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<1jzv3x0q8ma@mx.example.org>"
    assert message["Date"].datetime.isoformat() == "2026-11-01T00:00:00"
    assert (message["From"], message["To"]) == ("MAILER-DAEMON@mx.example.org", "bob@elsewhere.example")
    assert message["Subject"] == "failure notice"


def test_fields_for_each_recipient():
    """Who failed, with which status, and what the next host said, each in fields (RFC 3464 section 2.3)."""
    _, _, status, _ = read((b"a@example.org", REFUSED), (b"c@example.org", FULL))
    about, first, second = fields(status)
    assert about == {"Reporting-MTA": "dns; mx.example.org", "Arrival-Date": "31 Oct 2026 00:00:00 -0000"}
    assert first == {
        "Final-Recipient": "rfc822; a@example.org",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; [192.0.2.1]",
        "Diagnostic-Code": "smtp; 550-5.1.1 <a@example.org>: unknown 550 5.1.1 sorry",
    }
    assert second == {"Final-Recipient": "rfc822; c@example.org", "Action": "failed", "Status": "5.2.2"}


@pytest.mark.parametrize(
    ("text", "late", "code"),
    [
        (b"Sorry, no mailbox here by that name. (#5.1.1)\n", False, b"5.1.1"),
        (b"x failed.\nRemote host said: 554 no\n", False, b"5.0.0"),  # no enhanced code: other, undefined
        (b"Remote host said: 550 4.7.1 go away\n", False, b"5.7.1"),  # a failure has class 5, whatever the host wrote
        (b"Connected to 192.0.2.5.5.5 but it is 15.1.1 and 5.1.1234\n", False, b"5.0.0"),  # no codes
        (b"No connection. (#4.4.1)\n" + qsbmf.GAVE_UP, False, b"4.4.1"),  # RFC 3463: persistent transient failure
        (b"busy\n" + qsbmf.GAVE_UP, False, b"4.4.7"),  # delivery time expired
        (b"mailbox busy\n", True, b"4.0.0"),
        (b"busy (#4.2.0)\n", True, b"4.2.0"),
    ],
)
def test_status(text, late, code):
    """The enhanced code (RFC 3463) comes from the report's text."""
    assert dsn.status(text, late=late) == code


def test_delay():
    """A delay notice says that nothing need be done, and until when delivery is tried."""
    until = b"7 Nov 2026 00:00:00 -0000"
    message, text, status, original = read(
        (b"a@example.org", b"busy\n"), until=until, whole=False, original=b"Subject: x\n\n"
    )
    assert message["Subject"] == "delivery is late"
    assert "tried until 7 Nov 2026" in text.get_content()
    assert not text.get_content().startswith("Hi. This is the")  # a program would take it for a failure
    _, about = fields(status)
    assert (about["Action"], about["Status"]) == ("delayed", "4.0.0")
    assert about["Will-Retry-Until"] == until.decode()
    assert original.get_content_type() == "text/rfc822-headers"


def test_a_double_bounce_says_so():
    """The postmaster reads that it was a bounce that bounced."""
    message, text, *_ = read(recipient=b"postmaster@mx.example.org", returned_to=b"")
    assert "I had a bounce message to send" in text.get_content()
    assert message["To"] == "postmaster@mx.example.org"


def test_international_addresses():
    """Who is told in ASCII reads ASCII; who has an address beyond it gets UTF-8 (RFC 6533)."""
    name = "jürgen+x@example.org".encode()
    said = "192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 für niemand\n".encode()
    _, text, status, _ = read((name, said))
    assert status.get_content_type() == "message/delivery-status"
    assert fields(status)[1]["Final-Recipient"] == r"utf-8; j\x{FC}rgen\x{2B}x@example.org"
    assert fields(status)[1]["Diagnostic-Code"] == r"smtp; 550 5.1.1 f\xfcr niemand"
    assert "<jürgen+x@example.org>" in text.get_content()
    written = dsn.write(notice((name, said), recipient="bøb@elsewhere.example".encode()))
    assert b"Content-Type: message/global-delivery-status\n" in written
    assert b"Content-Type: message/global\n" in written
    assert b"Final-Recipient: utf-8; " + name + b"\n" in written


def test_the_message_can_not_end_its_part():
    """A message that holds what looks like the boundary, or eight bits, or no last line end, is returned whole all the same."""
    original = b"Subject: x\n\n--=_1jzv3x0q8ma--\n\xff\xfe end"
    message, *parts = read(original=original)
    assert len(parts) == 3
    assert message["Content-Transfer-Encoding"] == parts[2]["Content-Transfer-Encoding"] == "8bit"
    assert original + b"\n--" in dsn.write(notice(original=original))


def test_who_guesses_the_boundary_gains_nothing():
    """Another one is chosen at once, of at most 70 characters (RFC 2046 section 5.1.1), not one longer than all guesses."""
    written = dsn.write(notice(original=b"=_1jzv3x0q8ma" + b"_" * 1_000_000))
    boundary = written.split(b'boundary="', 1)[1].split(b'"', 1)[0]
    assert len(boundary) <= 70
    assert len(email.message_from_bytes(written).get_payload()) == 3


def test_a_thousand_failures_stay_bounded():
    """Each recipient is named in both parts, and long answers of hosts do not fill the queue."""
    said = b"192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 unknown\n" + b"x" * 5000
    written = dsn.write(notice(*[(b"u%d@example.org" % n, said) for n in range(1000)]))
    assert written.count(b"Final-Recipient:") == written.count(b"Status: 5.1.1\n") == 1000
    assert len(written) < 1024 * 1024
    longest = dsn.write(notice(*[(b"u" * 900 + b"%d@example.org" % n, said) for n in range(100_000)]))
    assert len(longest) < 6 * 1024 * 1024
    assert b"more recipients; the log of this host names them" in longest


@given(st.binary(max_size=300), st.binary(max_size=60), st.binary(max_size=300), st.booleans())
def test_whatever_hosts_and_senders_write_it_is_three_parts(text, recipient, original, whole):
    """No answer, address or message makes a line of its own in the fields, or a fourth part."""
    failure = qsbmf.paragraph(recipient, text)
    written = dsn.write(
        notice(paragraphs=[failure], original=original, whole=whole, recipient=recipient + b"@b.example")
    )
    boundary = written.split(b'boundary="', 1)[1].split(b'"', 1)[0]
    assert written.count(b"--" + boundary + b"\n") == 3
    assert written.endswith(b"--" + boundary + b"--\n")
    status = written.split(b"--" + boundary + b"\n")[2]
    known = {b"Content-Type", b"Content-Transfer-Encoding", b"Reporting-MTA", b"Arrival-Date", b"Final-Recipient"}
    known |= {b"Action", b"Status", b"Remote-MTA", b"Diagnostic-Code"}
    names = {line.partition(b":")[0] for line in status.split(b"\n") if line and not line.startswith(b" ")}
    assert names <= known
    head = written.split(b"\n\n", 1)[0]
    assert not any(line.lower().startswith(b"bcc") for line in head.split(b"\n"))
