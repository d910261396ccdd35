"""SMTP data: where it ends, what is stored and what is refused, against a reader that looks at one line at a time."""

import host

from appliance.message.hops import Hops
from appliance.smtpd.data import Reader

WORDS = (
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\n",
    b"\r\n..",
    b"\r\nReceived: ",
    b"\r\ndelivered-to",
    b"\r\r\n",
)
_LIMIT, _HOPS = 200, 3


def target(data: bytes) -> None:
    for normalise in (False, True):
        expected = _expected(data, normalise)
        for pieces in ([data], host.pieces(data)):
            assert _read(pieces, normalise) == expected


def _read(pieces: list[bytes], normalise: bool) -> object:
    reader = Reader(_LIMIT, _HOPS, normalise=normalise)
    for number, piece in enumerate(pieces):
        rest = reader.feed(piece)
        if rest is not None:
            problem = reader.problem()
            what = problem.enhanced if problem else reader.take()
            return what, rest + b"".join(pieces[number + 1 :])
    return None


def _expected(data: bytes, normalise: bool) -> object:
    lines, end = [], 0
    while True:
        stop = data.find(b"\r\n", end)
        if stop < 0:
            return None
        line, end = data[end:stop], stop + 2
        if line == b".":
            break
        lines.append(line[1:] if line[:1] == b"." else line)
    whole = b"".join(line + b"\n" for line in lines)
    if not normalise and any(b"\r" in line or b"\n" in line for line in lines):
        return "5.6.0", data[end:]
    text = whole.replace(b"\r", b"\n")
    hops = Hops()
    hops.feed(text)
    if hops.count >= _HOPS:
        return "5.4.6", data[end:]
    return "5.3.4" if len(text) > _LIMIT else text, data[end:]
