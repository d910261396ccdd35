"""The DATA reader: what is content, what is the end, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.smtpd.data import Reader

# wire bytes, content, what follows the end, reply code (None: accepted), why
TABLE = [
    (b".\r\n", b"", b"", None, "a dot right after DATA ends an empty message"),
    (b"a\r\n.\r\n", b"a\n", b"", None, "CRLF is LF inside"),
    (b"a\r\n.\r\nQUIT\r\n", b"a\n", b"QUIT\r\n", None, "what follows the end is a command"),
    (b"..\r\n.\r\n", b".\n", b"", None, "a doubled dot on the first line"),
    (b"a\r\n..b\r\n.\r\n", b"a\n.b\n", b"", None, "a doubled dot at the start of a line"),
    (b"a\r\n.b\r\n.\r\n", b"a\nb\n", b"", None, "a single dot at the start of a line is taken off (RFC 5321 4.5.2)"),
    (b"a\r\n...\r\n.\r\n", b"a\n..\n", b"", None, "only one dot is taken off"),
    (b"a..b\r\n.\r\n", b"a..b\n", b"", None, "dots within a line stay"),
    (b"\r\n\r\n.\r\n", b"\n\n", b"", None, "empty lines are content"),
    (b"a\r\n.\r\n.\r\n", b"a\n", b".\r\n", None, "the first end is the end"),
    (b"\r\n..\r\n..\r\n.\r\n", b"\n.\n.\n", b"", None, "doubled dots line after line"),
    (b"\0\xff\r\n.\r\n", b"\0\xff\n", b"", None, "any other byte is content"),
    (b"a\n.\nb\r\n.\r\n", None, b"", 550, "LF.LF is no end, and refused"),
    (b"a\n.\r\nb\r\n.\r\n", None, b"", 550, "LF.CRLF is no end, and refused"),
    (b"a\r\n.\nb\r\n.\r\n", None, b"", 550, "CRLF.LF is no end, and refused"),
    (b"a\r.\rb\r\n.\r\n", None, b"", 550, "CR.CR is no end, and refused"),
    (b"a\r\n.\rb\r\n.\r\n", None, b"", 550, "CRLF.CR is no end, and refused"),
    (b"a\r.\r\nb\r\n.\r\n", None, b"", 550, "CR.CRLF is no end, and refused"),
    (b"a\r\r\n.\r\n", None, b"", 550, "CRCRLF holds a bare CR"),
    (b"a\r\n.\r\r\n.\r\n", None, b"", 550, "CRLF.CRCRLF is no end"),
    (b"\n.\r\n.\r\n", None, b"", 550, "a bare LF first of all"),
    (b"\r.\r\n.\r\n", None, b"", 550, "a bare CR first of all"),
    (b"\n\r\n.\r\n", None, b"", 550, "LF CR LF holds a bare LF"),
    (b"\r\r\n.\r\n", None, b"", 550, "a bare CR right before the end"),
    (b"12345678\r\n9\r\n.\r\n", None, b"", 552, "eleven bytes with a limit of ten"),
    (b"12345678\r\n\r\n.\r\n", b"12345678\n\n", b"", None, "ten bytes as they are stored, not as they were sent"),
    (b"..2345678\r\n\r\n.\r\n", b".2345678\n\n", b"", None, "the doubled dot does not count"),
]
NORMALISED = [
    (b"a\nb\r\n.\r\n", b"a\nb\n", b"", "a bare LF is a line end"),
    (b"a\rb\r\n.\r\n", b"a\nb\n", b"", "a bare CR is a line end"),
    (b"a\n.\nb\r\n.\r\nx", b"a\n.\nb\n", b"x", "the end is CRLF.CRLF all the same"),
    (b"a\r\r\n.\r\n", b"a\n\n", b"", "CRCRLF is two line ends"),
    (b"a\n\r\n.\r\n", b"a\n\n", b"", "LFCRLF is two line ends"),
]


def read(wire: bytes, sizes: list[int], reader: Reader):
    """Feed the wire bytes cut into pieces; content and what follows the end."""
    position = 0
    for size in [*sizes, len(wire)]:
        piece, position = wire[position : position + size], position + size
        rest = reader.feed(piece)
        if rest is not None:
            return reader.take(), rest + wire[position:]
    raise AssertionError("no end")


def judge(wire: bytes, sizes: list[int], *, normalise: bool = False):
    reader = Reader(10, 100, normalise=normalise)
    content, rest = read(wire, sizes, reader)
    problem = reader.problem()
    return (None if problem else content), rest, problem and problem.code


@pytest.mark.parametrize(("wire", "content", "rest", "code", "why"), TABLE, ids=[row[-1] for row in TABLE])
def test_trap_22_content_is_read_exactly(wire, content, rest, code, why):
    """Each row of the table, whole, byte by byte, and cut in two at every place."""
    assert judge(wire, []) == (content, rest, code)
    assert judge(wire, [1] * len(wire)) == (content, rest, code)
    for cut in range(1, len(wire)):
        assert judge(wire, [cut]) == (content, rest, code), cut


@pytest.mark.parametrize(("wire", "content", "rest", "why"), NORMALISED, ids=[row[-1] for row in NORMALISED])
def test_bare_newlines_are_mended_where_allowed(wire, content, rest, why):
    """Networks in control/barenewline get line ends instead of a refusal."""
    assert judge(wire, [], normalise=True) == (content, rest, None)
    assert judge(wire, [1] * len(wire), normalise=True) == (content, rest, None)


lines = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")), max_size=12)
dotted = st.lists(st.sampled_from([b"", b".", b"..", b".\xff", b"x", b"\0"]), max_size=12)


@given(lines | dotted, st.lists(st.integers(1, 9)), st.binary(max_size=9))
def test_what_a_client_stuffs_comes_back(content_lines, sizes, after):
    """However the network cuts it, content comes out as it was before the client stuffed its dots."""
    wire = b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in content_lines) + b".\r\n"
    reader = Reader(0, 100)
    content, rest = read(wire + after, sizes, reader)
    assert content == b"".join(line + b"\n" for line in content_lines)
    assert (rest, reader.problem(), reader.size) == (after, None, len(content))


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a"]), max_size=20), st.lists(st.integers(1, 4))
)
def test_cuts_never_matter(parts, sizes):
    """Whatever is sent, the verdict does not depend on how it was cut into packets."""
    wire = b"".join(parts) + b"\r\n.\r\n"
    assert judge(wire, sizes) == judge(wire, [])


def hops(content: bytes, *, piece: int = 1000) -> bool:
    reader = Reader(0, 3)
    read(content.replace(b"\n", b"\r\n") + b".\r\n", [piece] * len(content), reader)
    return reader.problem() is not None


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("content", "looping", "why"),
    [
        (b"Received: 1\nReceived: 2\n\n", False, "two of three"),
        (b"Received: 1\nReceived: 2\nReceived: 3\n\n", True, "three of three"),
        (b"reCEIVED 1\nDELIVERED-to: 2\nReceived-SPF: 3\n\n", True, "by prefix, in either case, as qmail"),
        (b"Received: 1\nReceived: 2\n\nReceived: 3\n", False, "the body does not count"),
        (b"\nReceived: 1\nReceived: 2\nReceived: 3\n", False, "an empty header"),
        (b"Received: 1\n received: 2\nX-Received: 3\n\n", False, "only at the start of a line"),
        (b"Received: 1\nReceived: 2\nReceived: 3\n", True, "a header without body"),
    ],
)
def test_trap_23_hops_are_counted_in_the_header(content, looping, why, piece):
    """Received and Delivered-To fields count, wherever the network cuts them."""
    assert hops(content, piece=piece) is looping


def test_a_message_that_is_lost_anyway_is_not_kept():
    """What comes after the size limit is read and forgotten."""
    reader = Reader(1000, 100)
    for _ in range(100):
        reader.feed(b"x" * 1000)
        assert len(reader.take()) <= 1000
    assert reader.size == 100000
