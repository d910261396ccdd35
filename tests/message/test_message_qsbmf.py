"""Bounces are texts that qmail's users and programs can read (QSBMF)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.message import qsbmf
from appliance.message.notice import Notice


def bounce(**other):
    values = {
        "name": "1jzv3x0q8ma",
        "date": b"1 Nov 2026 00:00:00 -0000",
        "sender": b"MAILER-DAEMON@mx.example.org",
        "host": b"mx.example.org",
        "recipient": b"bob@elsewhere.example",
        "arrived": b"31 Oct 2026 00:00:00 -0000",
        "paragraphs": [
            qsbmf.paragraph(b"a@example.org", b"no such user"),
            qsbmf.paragraph(b"b@example.org", b"full\n"),
        ],
        "returned_to": b"bob@elsewhere.example",
        "original": b"Subject: x\n\ntext\n",
        "whole": True,
    }
    return qsbmf.bounce(Notice(**{**values, **other}))


def test_whole_bounce():
    """Header, introduction, a paragraph for each failure, the break, the original: in this order."""
    head, _, rest = bounce().partition(b"\n\n")
    assert head.split(b"\n") == [
        b"Date: 1 Nov 2026 00:00:00 -0000",
        b"From: MAILER-DAEMON@mx.example.org",
        b"To: bob@elsewhere.example",
        b"Subject: failure notice",
    ]
    intro, first, second, ending, original_header, text = rest.split(b"\n\n")
    assert intro.startswith(b"Hi. This is the paperpath program at mx.example.org.")
    assert first == b"<a@example.org>:\nno such user"
    assert second == b"<b@example.org>:\nfull"
    assert ending == b"--- Below this line is a copy of the message."
    assert original_header == b"Return-Path: <bob@elsewhere.example>\nSubject: x"
    assert text == b"text\n"


def test_double_bounce_says_so():
    """A bounce of a bounce tells the postmaster what it is."""
    text = bounce(returned_to=b"", recipient=b"postmaster@mx.example.org")
    assert b"could not be delivered either" in text
    assert b"--- Below this line is the original bounce.\n\nReturn-Path: <>\n" in text


def test_large_original_is_not_returned_whole():
    """For a large message only the header goes back, with a sentence that says so."""
    assert b"--- Below this line is the header of the message (it is too large" in bounce(whole=False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"one\n\ntwo\n", b"one\n/two"),
        (b"one\n\n\ntwo", b"one\n//two"),
        (b"\n\none\n\n", b"//one"),
        (b"\n", b""),
    ],
)
def test_no_empty_line_in_a_paragraph(text, shown):
    """An empty line would end the paragraph, so the text may not hold one."""
    assert qsbmf.paragraph(b"a@b", text) == b"<a@b>:\n" + shown + (b"\n\n" if shown else b"\n")
    assert qsbmf.apart(qsbmf.paragraph(b"a@b", text)) == (b"a@b", shown)


def test_paragraph_without_text_and_with_a_wild_address():
    """Nothing in an address or a missing text breaks the form."""
    assert qsbmf.paragraph(b"a\nb@c", b"") == b"<a_b@c>:\n\n"


def test_quoted_addresses():
    """Addresses that need quotes have them in To and Return-Path."""
    text = bounce(recipient=b"a b@c.example", returned_to=b"a b@c.example")
    assert b'\nTo: "a b"@c.example\n' in text
    assert b'\nReturn-Path: <"a b"@c.example>\n' in text


def test_thousands_of_failures_stay_small():
    """Every recipient is named and the next host's reason given, but long texts are cut when there are many."""
    said = b"192.0.2.1 does not like recipient.\n550 5.1.1 unknown\n" + b"x" * 5000
    failures = [qsbmf.paragraph(b"u%d@example.org" % n, said) for n in range(2000)]
    text = bounce(paragraphs=failures)
    assert text.count(b"@example.org>:\n192.0.2.1 does not like recipient.\n550 5.1.1 unknown\n") == 2000
    assert b"\n\n\n" not in text
    assert len(text) < 1024 * 1024


def test_header_ends_at_the_first_empty_line():
    """The header is what comes before the first empty line, or all there is."""
    assert qsbmf.header(b"A: b\n\nbody\n\n") == b"A: b\n\n"
    assert qsbmf.header(b"A: b\n") == b"A: b\n"


@given(st.binary(max_size=40), st.binary(max_size=200))
def test_paragraphs_are_told_apart_whatever_is_in_them(recipient, text):
    """Only the end of a paragraph is an empty line; short or whole, its address can be read back."""
    for written in (qsbmf.paragraph(recipient, text), qsbmf.short(qsbmf.paragraph(recipient, text))):
        assert written.endswith(b"\n\n")
        assert b"\n\n" not in written[:-2]
        shown = recipient.translate(bytes.maketrans(b"\r\n\0", b"___"))
        assert written.startswith(b"<" + shown + b">:\n")
        assert b">" in shown or qsbmf.apart(written)[0] == shown
