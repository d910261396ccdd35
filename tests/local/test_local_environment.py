"""The environment of a program: every variable of qmail-local."""

import pytest

from appliance.local.environment import Circumstances, environment

AT = Circumstances(
    sender=b"a b@c.example",
    new_sender=b"list-owner@example.org",
    recipient=b"example.org-list-X-y-z@mx.a.b.example.org",
    user=b"list",
    home=b"/state/mail/example.org/list",
    ext=b"X-y-z",
    default=b"y-z",
    delivered_to=b"Delivered-To: example.org-list-X-y-z@mx.a.b.example.org\n",
    now=784887151.0,
)


def variables(at: Circumstances = AT) -> dict[bytes, bytes]:
    return dict(variable.split(b"=", 1) for variable in environment(at))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (b"SENDER", b"a b@c.example", "the envelope sender, unquoted"),
        (b"NEWSENDER", b"list-owner@example.org", "for what is forwarded"),
        (b"RECIPIENT", b"example.org-list-X-y-z@mx.a.b.example.org", "the local address"),
        (b"LOCAL", b"example.org-list-X-y-z", "what stands before its @"),
        (b"HOST", b"mx.a.b.example.org", "and behind it"),
        (b"HOST2", b"mx.a.b.example", "before the last dot"),
        (b"HOST3", b"mx.a.b", "before the one before"),
        (b"HOST4", b"mx.a", "before the third last"),
        (b"USER", b"list", "of the assignment"),
        (b"HOME", b"/state/mail/example.org/list", "of the assignment"),
        (b"EXT", b"X-y-z", "in its own spelling"),
        (b"EXT2", b"y-z", "after its first dash"),
        (b"EXT3", b"z", "after its second"),
        (b"EXT4", b"", "there is no third"),
        (b"DEFAULT", b"y-z", "what the default file's name leaves out"),
        (b"DTLINE", b"Delivered-To: example.org-list-X-y-z@mx.a.b.example.org\n", "with its LF"),
        (b"RPLINE", b'Return-Path: <"a b"@c.example>\n', "quoted"),
        (b"UFLINE", b"From a-b@c.example Tue Nov 15 08:12:31 1994\n", "as in an mbox"),
    ],
)
def test_a_variable(name: bytes, value: bytes, reason: str) -> None:
    """Section by section as qmail's users know them."""
    assert variables()[name] == value, reason


def test_a_host_without_dots_stays_as_it_is() -> None:
    """HOST2 to HOST4 repeat what is left when the dots run out."""
    at = variables(Circumstances(b"", b"", b"u@a.b", b"u", b"/h", b"", None, b"", 0.0))
    assert (at[b"HOST2"], at[b"HOST3"], at[b"HOST4"]) == (b"a", b"a", b"a")
    assert b"DEFAULT" not in at
    assert at[b"RPLINE"] == b"Return-Path: <>\n"
    assert at[b"UFLINE"] == b"From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n"


def test_a_line_end_in_an_address_makes_no_second_line() -> None:
    """In the lines for a header LF becomes an underscore, in an mbox's a dash; SENDER is left alone."""
    at = variables(Circumstances(b"a\nb@c", b"", b"u@h", b"u", b"/h", b"", None, b"", 0.0))
    assert at[b"SENDER"] == b"a\nb@c"
    assert at[b"RPLINE"].count(b"\n") == 1
    assert at[b"UFLINE"].startswith(b"From a-b@c ")
