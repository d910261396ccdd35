"""Texts of remote hosts and programs, and any addresses, in bounces: three parts in a DSN, paragraphs in QSBMF.

The first line is a recipient, the second a sender; the rest is the text and the original.
"""

import email

from appliance.message import dsn, qsbmf
from appliance.message.notice import Notice

WORDS = (
    b"\n\n",
    b"\n",
    b"--",
    b"\nContent-Type: x",
    b"5.1.1",
    b"\0",
    b"\r",
    b"<>:\n",
    b"@",
    b"--- Below",
    b"\xff",
    b'"',
)

_GIVEN = {
    "name": "1jzv3x0q8ma",
    "date": b"22 Nov 2026 13:00:00 -0000",
    "sender": b"MAILER-DAEMON@mx.here.example",
    "host": b"mx.here.example",
    "arrived": b"22 Nov 2026 12:00:00 -0000",
    "whole": True,
}


def target(data: bytes) -> None:
    recipient, sender, text = [*data.split(b"\n", 2), b"", b""][:3]
    written = qsbmf.paragraph(recipient, text)
    assert b"\n\n" not in written.rstrip(b"\n")
    assert written.endswith(b"\n\n")
    notice = Notice(**{**_GIVEN, "returned_to": sender, "recipient": sender, "original": text, "paragraphs": [written]})
    bounce = qsbmf.bounce(notice)
    assert bounce.endswith(text)
    assert written in bounce
    report = email.message_from_bytes(dsn.write(notice))
    assert report.get_content_type() == "multipart/report"
    assert len(report.get_payload()) == 3
