"""Stored bytes as POP3 sends them.  Pure."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.pop3d import wire

TEXT = st.lists(st.sampled_from([b"a", b".", b"..", b"\n", b"\r", b"\r\n", b"line\n", b".\n"]), max_size=30).map(
    b"".join
)


def cut(text: bytes, places: list[int]) -> list[bytes]:
    """The text in pieces."""
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:stop] for start, stop in pairwise(edges)] or [text]


def plainly(text: bytes) -> bytes:
    """What it is about, in the plainest words: lines, each with CRLF, dots doubled, a dot at the end."""
    lines = re.split(rb"\r?\n", text)
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines) + b".\r\n"


@given(TEXT, st.lists(st.integers(0, 100)))
@example(b"a\r\nb", [2])
@example(b"a\r", [1])
@example(b"a\n.b", [2])
@example(b"\r\n.\r\n", [1, 2, 3])
def test_a_message_is_the_same_however_it_is_read(text, places):
    """Line ends and dots at the edges of pieces are no exception."""
    assert b"".join(wire.message(cut(text, places))) == plainly(text)


@given(TEXT, st.lists(st.integers(0, 100)))
def test_its_size_is_what_the_client_gets(text, places):
    """RFC 1939 section 11: octets with CRLF, without the dots that were added."""
    sent = b"".join(wire.message([text])).removesuffix(b".\r\n")
    received = b"".join(line.removeprefix(b".") for line in re.split(rb"(?<=\r\n)", sent))
    assert wire.size(cut(text, places)) == len(received)


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        (0, [b"a: b\n", b"c\n", b"\n"]),
        (1, [b"a: b\n", b"c\n", b"\n", b"1\n"]),
        (2, [b"a: b\n", b"c\n", b"\n", b"1\n", b"long ", b"line\n"]),
        (9, [b"a: b\n", b"c\n", b"\n", b"1\n", b"long ", b"line\n", b"3"]),
    ],
)
def test_top_counts_lines_not_pieces(lines, sent):
    """A line that is read in parts is one."""
    pieces = [b"a: b\n", b"c\n", b"\n", b"1\n", b"long ", b"line\n", b"3"]
    assert list(wire.top(pieces, lines)) == sent


def test_a_header_that_does_not_end_is_all_there_is():
    """No empty line, no body."""
    assert list(wire.top([b"a: b\n", b"c: d\n"], 3)) == [b"a: b\n", b"c: d\n"]
