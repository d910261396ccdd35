"""Stored messages for a POP3 client: the same however they are read, the size that was told, and an end that only the end is."""

import host

from appliance.pop3d import wire

WORDS = (b"\n.", b"\r\n.\r\n", b"\r", b"\n", b".", b"..", b"\n\n", b"\r\n\r\n", b"\r\r\n")


def target(data: bytes) -> None:
    cut = host.pieces(data)
    sent = b"".join(wire.message([data]))
    assert b"".join(wire.message(cut)) == sent
    assert sent.endswith(wire.END)
    *lines, last = sent[: -len(wire.END)].split(b"\r\n")
    assert not last
    assert b"." not in lines
    assert b"\n" not in b"".join(lines)
    seen = sum(len(line) + 2 - line.startswith(b".") for line in lines)
    assert wire.size([data]) == wire.size(cut) == seen
    for count in (0, 1, 1000):
        assert data.startswith(b"".join(wire.top(data.splitlines(keepends=True), count)))
