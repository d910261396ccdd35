"""Envelopes: the queue's reader and qmail-queue's read the same, however the bytes are cut; encoding gives the bytes back."""

import host

from appliance import envelope
from appliance.inject.qmail_queue import Stop, read_envelope

WORDS = (b"F", b"T", b"\0", b"\0T", b"\0\0", b"F\0\0", b"@a.example", b"x" * 1003, b"x" * 1002)


def target(data: bytes) -> None:
    try:
        found, end = envelope.decode(data)
    except envelope.EnvelopeError:
        found, end = None, 0
    else:
        assert envelope.encode(*found) == data[:end]
    try:
        read = read_envelope(iter(host.pieces(data)))
    except Stop as stop:
        assert stop.status in (11, 54, 91)
        assert found is None
    else:
        assert read == found
