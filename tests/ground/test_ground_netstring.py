"""Netstrings: the frame of everything that programs say to each other."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import netstring
from appliance.netstring import Decoder, FramingError, encode


def test_the_example_of_the_specification() -> None:
    """`hello world!` is twelve bytes."""
    assert encode(b"hello world!") == b"12:hello world!,"
    assert encode(b"") == b"0:,"


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(payloads: list[bytes], data: st.DataObject) -> None:
    """Pieces of a stream have nothing to do with frames."""
    stream = b"".join(map(encode, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder, found = Decoder(1000), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[start:end])
    assert found == payloads
    assert not decoder.pending


def test_byte_by_byte() -> None:
    """The slowest peer is understood."""
    decoder, found = Decoder(100), []
    for byte in b"3:abc,0:,10:0123456789,":
        found += decoder.feed(bytes([byte]))
    assert found == [b"abc", b"", b"0123456789"]


def test_a_large_frame_in_many_pieces_and_the_start_of_the_next() -> None:
    """A frame on its way is not looked at again until it is there."""
    decoder = Decoder(1 << 20)
    stream = encode(b"x" * 100_000) + b"2:a"
    found = [frame for at in range(0, len(stream), 999) for frame in decoder.feed(stream[at : at + 999])]
    assert found == [b"x" * 100_000]
    assert decoder.pending
    assert decoder.feed(b"b,") == [b"ab"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a", "no length"),
        (b":x,", "an empty length"),
        (b"03:abc,", "a leading zero: two spellings for one size"),
        (b"-1:,", "a sign"),
        (b"1 :a,", "a space"),
        (b"3:abcd", "no comma after the payload"),
        (b"1234567890", "a length of ten digits and no colon"),
        (b"99999:", "more than the limit"),
        (b"2:ab,x", "garbage after a good frame"),
    ],
)
def test_what_is_not_a_netstring_ends_the_conversation(data: bytes, reason: str) -> None:
    """After one malformed frame nothing of the stream can be trusted."""
    with pytest.raises(FramingError):
        Decoder(1000).feed(data)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_frames_or_a_framing_error(data: bytes) -> None:
    """Whatever a broken program sends, the reader neither crashes nor takes more than was sent."""
    try:
        frames = Decoder(100).feed(data)
    except FramingError:
        return
    assert sum(map(len, frames)) <= len(data)


def test_the_limit_itself_is_allowed() -> None:
    """A frame of exactly the limit passes, one more byte does not."""
    assert Decoder(5).feed(b"5:abcde,") == [b"abcde"]
    with pytest.raises(FramingError):
        Decoder(5).feed(b"6:")


def test_lengths_have_at_most_nine_digits() -> None:
    """The number of digits bounds what a peer can ask us to wait for."""
    assert netstring.MAX_DIGITS == 9
    assert Decoder(10**9).feed(b"999999999:") == []


def test_crumbs_of_a_large_payload_cost_what_they_weigh() -> None:
    """A payload that comes byte by byte is kept as bytes, not as so many pieces."""
    decoder = netstring.Decoder(1 << 20)
    assert decoder.feed(b"1000000:") == []
    tracemalloc.start()
    for _ in range(50_000):
        assert decoder.feed(b"x") == []
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoder.kept == 50_000
    assert kept < 100_000
    assert decoder.feed(b"x" * 950_000 + b",3:abc,") == [b"x" * 1_000_000, b"abc"]
    assert decoder.kept == 0
