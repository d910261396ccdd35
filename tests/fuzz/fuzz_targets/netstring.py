"""Netstrings: the same frames however the stream is cut, and encoding them gives the stream back."""

import host

from appliance import netstring

WORDS = (b"0:,", b"1:a,", b"000:,", b"999999999:", b"1000:", b":", b",", b"12:3:abc,3:d,,")


def target(data: bytes) -> None:
    whole, fine, rest = _read([data])
    cut, fine_too, rest_too = _read(host.pieces(data))
    assert (fine, rest) == (fine_too, rest_too)
    assert cut == whole or not fine  # a fault swallows the frames before it in the same piece
    assert cut[: len(whole)] == whole
    encoded = b"".join(map(netstring.encode, cut))
    assert data.startswith(encoded)
    assert not fine or rest == (len(encoded) < len(data))


def _read(pieces: list[bytes]) -> tuple[list[bytes], bool, bool]:
    decoder, frames = netstring.Decoder(1000), []
    try:
        for piece in pieces:
            frames += decoder.feed(piece)
    except netstring.FramingError:
        return frames, False, True
    return frames, True, decoder.pending
