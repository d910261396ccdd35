"""Content on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.remote.data import Encoder, encode

ROWS = [
    (b"", b"", "nothing"),
    (b"a\nb\n", b"a\r\nb\r\n", "LF becomes CRLF"),
    (b"a", b"a\r\n", "the last line gets its end"),
    (b".\n", b"..\r\n", "a dot at the start is stuffed"),
    (b"a\n.\nb\n", b"a\r\n..\r\nb\r\n", "a lone dot is stuffed"),
    (b"a\n..b\n", b"a\r\n...b\r\n", "one dot more, however many there are"),
    (b"\n.\n", b"\r\n..\r\n", "after an empty line"),
    (b"a.\n", b"a.\r\n", "a dot elsewhere is left alone"),
    (b"a\r\nb\r\n", b"a\r\nb\r\n", "a stored CRLF is one line end"),
    (b"a\rb", b"a\r\nb\r\n", "a stored bare CR is a line end"),
    (b"a\r.\nb\n", b"a\r\n..\r\nb\r\n", "smuggling: what follows a bare CR is stuffed too"),
    (b"a\r.\r\nMAIL", b"a\r\n..\r\nMAIL\r\n", "smuggling: the same with CRLF after the dot"),
    (b"a\n.\rb", b"a\r\n..\r\nb\r\n", "smuggling: dot and bare CR"),
    (b"a\r\r\n", b"a\r\n\r\n", "CR CRLF is two line ends"),
    (b"a\r", b"a\r\n", "CR at the end"),
    (b"\r\n.\r\n.", b"\r\n..\r\n..\r\n", "dots to the last byte"),
    (b"a\n\0.\nMAIL", b"a\r\n..\r\nMAIL\r\n", "smuggling: a server that drops NULs reads a dot"),
    (b"a\r\0\n\0.\0\nb", b"a\r\n..\r\nb\r\n", "smuggling: NULs anywhere"),
]


@pytest.mark.parametrize(("content", "wire", "reason"), ROWS, ids=[row[2] for row in ROWS])
def test_trap_29_content_on_the_wire(content, wire, reason):
    """Each row is a way to go wrong."""
    assert encode(content) == wire, reason


def test_trap_30_a_last_line_without_an_end_gets_one():
    """Where qmail finds out after DATA that the message can't be sent."""
    assert encode(b"a: b\n\nlast") == b"a: b\r\n\r\nlast\r\n"
    encoder = Encoder()
    assert encoder.feed(b"last") + encoder.finish() == b"last\r\n"


@given(st.binary(max_size=60) | st.text("a.\r\n", max_size=12).map(str.encode), st.data())
def test_chunks_cut_anywhere_give_the_same_wire(content, data):
    """What a peer reads does not depend on how the content was read."""
    encoder, wire, rest = Encoder(), b"", content
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        wire += encoder.feed(rest[:size])
        rest = rest[size:]
    assert wire + encoder.finish() == encode(content)


@given(st.text("a.\r\n", max_size=14).map(str.encode) | st.binary(max_size=60))
def test_a_peer_gets_the_content_back(content):
    """No bare CR or LF leaves, the end of data comes once, and unstuffing gives the lines back."""
    wire = encode(content) + b".\r\n"
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert (b"\r\n" + wire).index(b"\r\n.\r\n") == len(wire) - 3
    lines = [line[1:] if line[:1] == b"." else line for line in wire[:-3].split(b"\r\n")]
    stored = content.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert b"\n".join(lines) == (stored if stored.endswith(b"\n") or not stored else stored + b"\n")
