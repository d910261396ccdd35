"""Messages for qmail-inject: a header and an envelope, or a refusal that says why; fields stay fields, however they were cut.

The first byte chooses how it was called.
"""

import host

from appliance.inject import composing, stamps
from appliance.inject.settings import settings
from appliance.message import header

WORDS = (
    b"To: ",
    b"\nCc: ",
    b"\nBcc: ",
    b"\nFrom: ",
    b"\nResent-To: ",
    b"\nReturn-Path: ",
    b"\n ",
    b"\n\n",
    b"From x\n",
)
WORDS += (
    b"a@b.example",
    b"<",
    b">",
    b",",
    b"(",
    b")",
    b";",
    b":",
    b'"',
    b"\\",
    b"\0",
    b"\r",
    b"joe+",
    b"@[]",
    b"Subject: x\n",
)
_MOMENT = stamps.Moment(1_800_000_000, 7)


def target(data: bytes) -> None:
    choice, message = data[:1], data[1:]
    whole, body = _split([message])
    assert (whole, body) == _split(host.pieces(message))
    number = choice[0] if choice else 0
    environ = {b"QMAILINJECT": b"cfimrs"[: number % 7], b"USER": b"joe", b"NAME": b'Joe "x" (y)'}
    request = composing.Request(
        (b"r@c.example", b"x y") if number & 8 else (), "ahHA"[number & 3], b"s" if number & 16 else None
    )
    try:
        made = composing.compose(whole, request, settings(environ, host.generation()), _MOMENT)
    except composing.RefusedError:
        return
    assert all(
        b"\n" not in each and b"\0" not in each and b"\r" not in each for each in (made.sender, *made.recipients)
    )
    again, rest = _split([made.header + b"\n" + body])
    assert rest == body
    assert b"".join(again) == made.header
    assert not any(header.name(field) == b"bcc" for field in again)


def _split(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter, body = header.Splitter(), None
    for number, piece in enumerate(pieces):
        body = splitter.feed(piece)
        if body is not None:
            body += b"".join(pieces[number + 1 :])
            break
    if body is None:
        body = splitter.end()
    return splitter.fields, body
