"""Addresses: taken apart and quoted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import address


@pytest.mark.parametrize(
    ("whole", "parts", "reason"),
    [
        (b"a@b", (b"a", b"b"), "the common case"),
        (b'"a@b"@c', (b'"a@b"', b"c"), "the last @ counts"),
        (b"a", (b"a", b""), "no @"),
        (b"@b", (b"", b"b"), "an empty local part"),
        (b"", (b"", b""), "a bounce's sender"),
    ],
)
def test_split(whole: bytes, parts: tuple[bytes, bytes], reason: str) -> None:
    """An address is cut at its last @."""
    assert address.split(whole) == parts, reason


@pytest.mark.parametrize(
    ("plain", "quoted", "reason"),
    [
        (b"alice@example.org", b"alice@example.org", "a dot-atom needs no quotes"),
        (b"a.b+c-d@x", b"a.b+c-d@x", "nor do these characters"),
        (b"a b@x", b'"a b"@x', "a space"),
        (b"a..b@x", b'"a..b"@x', "two dots in a row"),
        (b".a@x", b'".a"@x', "a dot first"),
        (b"a.@x", b'"a."@x', "a dot last"),
        (b'a"b\\c@x', b'"a\\"b\\\\c"@x', "quote and backslash are escaped"),
        (b"@x", b'""@x', "an empty local part"),
        (b"a@b@x", b'"a@b"@x', "an @ in the local part"),
        (b"\xc3\xbc@x", b'"\xc3\xbc"@x', "eight-bit text"),
        (b"", b"", "a bounce"),
        (b"#@[]", b"#@[]", "a double bounce"),
    ],
)
def test_quote(plain: bytes, quoted: bytes, reason: str) -> None:
    """Between < and > a local part is quoted if it must be (RFC 5321 section 4.1.2)."""
    assert address.quote(plain) == quoted, reason


@given(st.binary(max_size=40))
def test_a_header_line_stays_one_line(text: bytes) -> None:
    """An LF in an address can't begin a header of its own."""
    assert not set(b"\r\n\0") & set(address.one_line(text))
    assert len(address.one_line(text)) == len(text)


@pytest.mark.parametrize(
    ("sender", "expanded", "reason"),
    [
        (b"list-@host-@[]", b"list-alice=example.org@host", "VERP: the recipient goes into the sender"),
        (b"a@b", b"a@b", "others stay"),
        (b"#@[]", b"#@[]", "a double bounce is no VERP sender"),
        (b"-@[]", b"-@[]", "nor is this"),
        (b"", b"", "a bounce"),
    ],
)
def test_verp(sender: bytes, expanded: bytes, reason: str) -> None:
    """A bounce then says by its address who it is about."""
    assert address.verp(sender, b"alice@example.org") == expanded, reason


@pytest.mark.parametrize(
    ("plain", "sendable", "reason"),
    [
        (b"alice@example.org", True, "the usual"),
        (b"", True, "the sender of a bounce"),
        (b"#@[]", True, "the sender of a double bounce"),
        (b"postmaster", True, "no domain"),
        (b'a> "<b\\@example.org', True, "a local part is quoted"),
        ("ä@bücher.example".encode(), True, "UTF-8"),
        (b"alice@[IPv6:2001:db8::1]", True, "a literal"),
        (b"list-@lists.example-@[]", True, "VERP"),
        (b"list-@lists.example> X-@[]", False, "what VERP makes of it is a parameter"),
        (b"a\rb@example.org", False, "CR"),
        (b"a\nb@example.org", False, "LF"),
        (b"a\0b@example.org", False, "NUL"),
        (b"a@example.org\n", False, "LF at the end"),
        (b"x@victim.example> X=.backup.example", False, "the next host reads a parameter"),
        (b"x@victim.example .backup.example", False, "and here perhaps, too"),
        (b"postmaster> X", False, "without a domain, too"),
        (b"x@victim.example,.backup.example", False, "two addresses"),
        (b"x@[192.0.2.1]>x[]", False, "what only begins as a literal"),
    ],
)
def test_what_stays_one_address_in_a_command(plain: bytes, sendable: bool, reason: str) -> None:
    """An address whose domain leaves its brackets says to the next host what nobody here has allowed."""
    assert address.sendable(plain) is sendable, reason
