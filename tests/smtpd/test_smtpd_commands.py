"""Command lines: paths, addresses and parameters."""

import pytest

from appliance.errors import Permanent
from appliance.smtpd import commands

PATHS = [
    (b"<a@example.org>", b"a@example.org", "the usual"),
    (b" <a@example.org>", b"a@example.org", "a blank that RFC 5321 does not allow and everybody sends"),
    (b"a@example.org", b"a@example.org", "without brackets, as qmail takes it"),
    (b"<postmaster>", b"postmaster", "bare postmaster (RFC 5321 4.1.1.3)"),
    (b"<PostMaster>", b"PostMaster", "case is kept"),
    (b"<a.b+c-d_e@sub.example.org>", b"a.b+c-d_e@sub.example.org", "ordinary special characters"),
    (b"<!#$%&'*/=?^`{|}~@example.org>", b"!#$%&'*/=?^`{|}~@example.org", "all of atext"),
    (b"<a..b.@example.org>", b"a..b.@example.org", "dots that RFC 5321 forbids and some telephones send"),
    (b'<"a b"@example.org>', b"a b@example.org", "quotes are taken off"),
    (b'<"a@b"@example.org>', b"a@b@example.org", "a quoted @ belongs to the local part"),
    (b'<"a>b"@example.org>', b"a>b@example.org", "a quoted > does not end the path"),
    (b'<"a\\"b\\\\c"@example.org>', b'a"b\\c@example.org', "backslashes are taken off"),
    (b"<@x.example:a@example.org>", b"a@example.org", "a source route is dropped"),
    (b"<@x.example,@y.example:a@example.org>", b"a@example.org", "so is a longer one"),
    (b"<a@[192.0.2.1]>", b"a@[192.0.2.1]", "an IPv4 literal"),
    (b"<a@[IPv6:2001:db8::1]>", b"a@[IPv6:2001:db8::1]", "an IPv6 literal"),
    (b"<a@under_score.example>", b"a@under_score.example", "an underscore in a host name, seen in the wild"),
    (b"<" + b"a" * 64 + b"@" + b"d" * 255 + b">", b"a" * 64 + b"@" + b"d" * 255, "the lengths RFC 5321 promises"),
]
WRONG = [
    (b"", 501, "nothing"),
    (b"<", 501, "an open bracket"),
    (b"<a@example.org", 501, "a bracket that is not closed"),
    (b"<@example.org>", 501, "no local part"),
    (b"<a@>", 501, "no domain"),
    (b'<""@example.org>', 501, "an empty local part in quotes"),
    (b"<a b@example.org>", 501, "a blank outside quotes"),
    (b'<a"b"@example.org>', 501, "quotes in the middle"),
    (b'<"ab@example.org>', 501, "quotes that are not closed"),
    (b'<"ab"x@example.org>', 501, "something between the quotes and the @"),
    (b'<"a\x01b"@example.org>', 501, "a control character in quotes"),
    (b"<a@b@example.org>", 501, "two @ without quotes"),
    (b"<a@example..org>", 501, "an empty label"),
    (b"<a@.example.org>", 501, "a domain that begins with a dot"),
    (b"<a@example.org.>", 501, "a domain that ends in a dot"),
    (b"<a@exa!mple.org>", 501, "an exclamation mark in a domain"),
    (b"<a@[192.0.2.1>", 501, "a literal that is not closed"),
    (b"<a@[]>", 501, "an empty literal"),
    (b"<a@" + b"d" * 256 + b">", 501, "a domain of 256 bytes"),
    (b"<a@example.org>x", 501, "something right after the path"),
    (b"<a@example.org>>", 501, "two closing brackets"),
    (b"<<a@example.org>>", 501, "two opening brackets"),
    (b"<" + b"a" * 887 + b"@example.org>", None, "899 bytes, the longest address"),
    (b"<" + b"a" * 888 + b"@example.org>", 555, "900 bytes, as in qmail"),
    (b"<\xc3\xa4@example.org>", 553, "not ASCII before the @ (RFC 6531)"),
    (b"<a@\xc3\xa4.example>", 553, "not ASCII after the @"),
    (b"<a@\xff.example>", 553, "not even UTF-8"),
]


@pytest.mark.parametrize(("path", "address", "why"), PATHS, ids=[row[-1] for row in PATHS])
def test_paths_that_are_understood(path, address, why):
    """An address comes out without brackets, quotes, backslashes and source route."""
    assert commands.rcpt(b"TO:" + path) == address
    assert commands.mail(b"from:" + path + b" SIZE=7") == (address, 7)


@pytest.mark.parametrize(("path", "code", "why"), WRONG, ids=[row[-1] for row in WRONG])
def test_trap_24_paths_that_are_refused(path, code, why):
    """A path nobody can understand is refused with a code that says why."""
    if code is None:
        assert commands.rcpt(b"TO:" + path)
        return
    with pytest.raises(Permanent) as refusal:
        commands.rcpt(b"TO:" + path)
    assert refusal.value.code == code


def test_the_empty_sender_is_a_bounce():
    """MAIL FROM:<> is the sender of a bounce; RCPT TO:<> is nobody."""
    assert commands.mail(b"FROM:<>") == (b"", 0)
    assert commands.mail(b"FROM:<> BODY=8BITMIME SIZE=12") == (b"", 12)
    with pytest.raises(Permanent):
        commands.rcpt(b"TO:<>")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (b"SIZE=1", None),
        (b"size=00000000000000000001", None),
        (b"SIZE=000000000000000000001", 501),
        (b"SIZE=", 501),
        (b"SIZE", 501),
        (b"SIZE=-1", 501),
        (b"BODY=7BIT", None),
        (b"BODY=8bitmime  SIZE=2", None),
        (b"BODY", 501),
        (b"BODY=BINARYMIME", 501),
        (b"AUTH=<>", 555),
        (b"SMTPUTF8", 555),
        (b"=", 555),
    ],
)
def test_mail_parameters(parameters, code):
    """SIZE and BODY are known, everything else is 555 (RFC 5321 section 4.1.1.11)."""
    argument = b"FROM:<a@example.org> " + parameters
    if code is None:
        assert commands.mail(argument)[0] == b"a@example.org"
    else:
        with pytest.raises(Permanent) as refusal:
            commands.mail(argument)
        assert refusal.value.code == code
