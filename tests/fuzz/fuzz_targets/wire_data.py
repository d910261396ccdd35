"""Stored messages for an SMTP server: the same however they are cut, every line ends in CRLF, and our own reader gets them back."""

import host

from appliance.remote.data import DOT, Encoder, encode
from appliance.smtpd.data import Reader

WORDS = (b"\n.", b"\r\n.\r\n", b"\r", b"\n", b".", b"..", b"\r.\r", b"\r\r\n", b"\n.\n", b"\n\0.", b"\0")


def target(data: bytes) -> None:
    sent = encode(data)
    encoder = Encoder()
    assert b"".join(map(encoder.feed, host.pieces(data))) + encoder.finish() == sent
    reader = Reader(0, 1 << 30)
    assert reader.feed(sent + DOT + b"QUIT") == b"QUIT", "smuggled"
    assert reader.problem() is None, "no bare CR or LF leaves"
    assert b"\0" not in sent
    lines = data.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert reader.take() == lines + b"\n" * (lines[-1:] not in (b"", b"\n"))
