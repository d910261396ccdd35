"""Where the header ends, in messages as people and programs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.message import header
from appliance.message.header import HeaderTooLargeError, Splitter


def split(message: bytes, *cuts: int) -> tuple[list[bytes], bool, bytes]:
    """Fields, whether a blank line ended them, and the body, from a message that arrives in pieces."""
    splitter, body = Splitter(), None
    for start, end in zip((0, *cuts), (*cuts, len(message)), strict=True):
        if body is None:
            body = splitter.feed(message[start:end])
        else:
            body += message[start:end]
    return splitter.fields, splitter.blank, splitter.end() if body is None else body


@pytest.mark.parametrize(
    ("message", "fields", "body", "why"),
    [
        (b"", [], b"", "nothing"),
        (b"A: 1\nB: 2\n\ntext\n", [b"A: 1\n", b"B: 2\n"], b"text\n", "the usual"),
        (b"A: 1\n 2\n\t3\n\nx", [b"A: 1\n 2\n\t3\n"], b"x", "folds belong to their field"),
        (b"A: 1\n", [b"A: 1\n"], b"", "a header alone"),
        (b"A: 1", [b"A: 1\n"], b"", "without its last line end"),
        (b"A: 1\n 2", [b"A: 1\n 2\n"], b"", "a fold without it"),
        (b"\ntext", [], b"text", "no header"),
        (b"\n\ntext", [], b"\ntext", "only one blank line separates"),
        (b"text\nmore", [], b"text\nmore", "a line that is no field begins the body"),
        (b"A: 1\ntext: no\x7fe b: x\nmore", [b"A: 1\n", b"text: no\x7fe b: x\n"], b"more", "any bytes in a value"),
        (b"A: 1\nno field: \n", [b"A: 1\n"], b"no field: \n", "a blank within a name"),
        (b"A \t: 1\n\n", [b"A \t: 1\n"], b"", "blanks before the colon"),
        (b" A: 1\n\n", [], b" A: 1\n\n", "a fold of nothing"),
        (b"From joe Mon\nA: 1\n\n", [b"MBOX-Line: From joe Mon\n", b"A: 1\n"], b"", "an mbox's first line"),
        (b": 1\n\n", [], b": 1\n\n", "a field without name"),
        (b"\xffA: 1\n\n", [], b"\xffA: 1\n\n", "a name is ASCII"),
    ],
)
def test_a_message_is_header_and_body(message: bytes, fields: list[bytes], body: bytes, why: str) -> None:
    """Fields up to the first line that is none."""
    found, blank, rest = split(message)
    assert (found, rest) == (fields, body)
    ends = b"\n\n" in message and not message.startswith((b" ", b":", b"\xff"))
    assert blank == (ends or message[:1] == b"\n")


@given(st.text("aF:rom \n\t-", max_size=60).map(str.encode), st.lists(st.integers(0, 60), max_size=4))
def test_it_does_not_matter_how_a_message_is_cut(message: bytes, cuts: list[int]) -> None:
    """Pieces of a stream mean nothing."""
    assert split(message, *sorted(min(cut, len(message)) for cut in cuts)) == split(message)


@given(st.binary(max_size=80))
def test_no_byte_is_lost(message: bytes) -> None:
    """Fields, the blank line and the body are the message, but for what marks an mbox line."""
    fields, blank, body = split(message)
    whole = b"".join(fields).replace(b"MBOX-Line: ", b"") + (b"\n" if blank else b"") + body
    assert whole in (message, message + b"\n")


def test_a_field_has_a_name_and_a_value() -> None:
    """Names compare in lower case."""
    assert header.name(b"Reply-To : joe\n") == b"reply-to"
    assert header.value(b"Reply-To : joe,\n fred\n") == b" joe,\n fred"
    assert header.name(b"no field\n") == b""


def test_a_header_without_end_is_refused() -> None:
    """Memory is bounded; a body may be larger."""
    for piece in (b"x" * 65536, b"A: " + b"x" * 65536 + b"\n", b"A: 1\n" * 10000, b" fold\n"):
        splitter = Splitter()
        assert splitter.feed(b"A: 1\n") is None
        times = header.LIMIT // len(piece)
        assert [splitter.feed(piece) for _ in range(times - 1)] == [None] * (times - 1)
        with pytest.raises(HeaderTooLargeError):
            splitter.feed(piece * 2)
