"""SMTP replies as a client reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.reply import Parser, ReplyError

GOOD = [
    (b"250 ok\r\n", [(250, b"250 ok")], "one line"),
    (b"250\r\n", [(250, b"250")], "a code alone"),
    (b"250-a\r\n250-b\r\n250 c\r\n", [(250, b"250-a\n250-b\n250 c")], "several lines"),
    (b"250-a\r\n250\r\n", [(250, b"250-a\n250")], "the last line is a code alone"),
    (b"250 a\r\n354 b\r\n", [(250, b"250 a"), (354, b"354 b")], "pipelined"),
    (b"250 a\n", [(250, b"250 a")], "a bare LF ends a line too"),
    (b"250-a\r\n550 b\r\n", [(550, b"250-a\n550 b")], "the last code counts, as in qmail"),
    (b"250 a\r\n25", [(250, b"250 a")], "the rest is still on its way"),
    (b"421 " + b"\xff\x00" + b"\r\n", [(421, b"421 \xff\x00")], "any bytes as text"),
]


@pytest.mark.parametrize(("wire", "replies", "reason"), GOOD, ids=[row[2] for row in GOOD])
def test_replies(wire, replies, reason):
    """What a server may say."""
    assert [(reply.code, reply.text) for reply in Parser().feed(wire)] == replies, reason


@given(st.lists(st.integers(0, 30), max_size=8))
def test_replies_arrive_in_pieces(cuts):
    """Where the network cuts makes no difference."""
    wire, found, parser, start = b"250-a\r\n250 b\r\n354 c\r\n", [], Parser(), 0
    for cut in [*sorted(cuts), len(wire)]:
        found += [reply.code for reply in parser.feed(wire[start:cut])]
        start = max(start, cut)
    assert found == [250, 354]


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"hello\r\n",
        b"25\r\n",
        b"199 a\r\n",
        b"600 a\r\n",
        b"250a\r\n",
        b" 250 a\r\n",
        b"250-a\r\n" * 1001,
        b"250-" + b"a" * 40_000 + b"\r\n250-" + b"a" * 40_000 + b"\r\n",
        b"250 " + b"a" * 70_000 + b"\r\n",
        b"a" * 70_000,
    ],
)
def test_nonsense_is_refused(wire):
    """What is not SMTP, or does not end, raises an error in bounded memory."""
    with pytest.raises(ReplyError):
        list(Parser().feed(wire))
