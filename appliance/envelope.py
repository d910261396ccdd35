"""Sender and recipients of a message, and how they look between two programs.

The bytes are those that qmail-queue reads: `F` sender NUL, `T` recipient NUL for each
recipient, NUL.  Addresses are bytes and are not interpreted here.
"""

from typing import NamedTuple

ADDRESS_LIMIT = 1002  # qmail-queue's own limit, bytes


class EnvelopeError(ValueError):
    """Not an envelope; says what is wrong with it."""


class Envelope(NamedTuple):
    """sender: b"" for a bounce, b"#@[]" for a double bounce."""

    sender: bytes
    recipients: tuple[bytes, ...]


def encode(sender: bytes, recipients: tuple[bytes, ...] | list[bytes]) -> bytes:
    """The envelope's bytes. Raises EnvelopeError if an address holds NUL."""
    joined = b"\0T".join((b"F" + sender, *recipients)) + b"\0\0"
    if joined.count(b"\0") != len(recipients) + 2:
        raise EnvelopeError("an address may not contain NUL")
    return joined


def decode(data: bytes) -> tuple[Envelope, int]:
    """The envelope at the start of `data`, and where what follows it begins.

    Raises EnvelopeError.
    """
    end = data.find(b"\0\0")
    # an empty sender is "F" NUL, then NUL if there is no recipient: the first double NUL
    # is the end either way, for no record is empty ("T" NUL at least)
    if end < 0 or data[:1] != b"F":
        raise EnvelopeError("F sender NUL, T recipient NUL ..., NUL expected")
    sender, *records = data[:end].split(b"\0")
    for record in records:
        if record[:1] != b"T":
            raise EnvelopeError("T recipient expected")
    recipients = tuple([record[1:] for record in records])
    if len(sender) > ADDRESS_LIMIT + 1 or any(len(r) > ADDRESS_LIMIT for r in recipients):
        raise EnvelopeError(f"address longer than {ADDRESS_LIMIT} bytes")
    return Envelope(sender[1:], recipients), end + 2
