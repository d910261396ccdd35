"""A message's content on its way into a transaction: at once if it is small, streamed if it is large."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass

from appliance import lease
from appliance.remote.data import Encoder, encode
from appliance.state import State

CHUNK = 128 * 1024  # bytes read at once


@dataclass(frozen=True, slots=True)
class Content:
    """What a transaction must know of its content.

    wire  the content as sent, or None: stream it from `fd`
    size  octets with CRLF, without stuffed dots (RFC 1870 section 5)
    """

    wire: bytes | None
    size: int
    eight_bit: bool
    fd: int = -1


def small(content: bytes) -> Content:
    """A content that came inline."""
    return Content(encode(content), len(content) + content.count(b"\n"), not content.isascii())


def large(state: State, hello: bytes, message: int) -> Content:
    """A content that is fetched from the queue; its descriptor is the caller's to close. Blocks. Raises OSError."""
    fd = lease.fetch_body(state, hello, message)
    try:
        size, eight_bit = 0, False
        for chunk in _chunks(fd):
            size += len(chunk) + chunk.count(b"\n")
            eight_bit = eight_bit or not chunk.isascii()
    except BaseException:
        os.close(fd)
        raise
    return Content(None, size, eight_bit, fd)


def wire_chunks(fd: int) -> Iterator[bytes]:
    """The content behind a descriptor as it goes on the wire. Each step blocks; raises OSError."""
    encoder = Encoder()
    for chunk in _chunks(fd):
        yield encoder.feed(chunk)
    yield encoder.finish()


def raw_chunks(fd: int) -> Iterator[bytes]:
    """The content behind a descriptor as it is stored. Each step blocks; raises OSError."""
    return _chunks(fd)


def discard(fetching: "asyncio.Future[Content]") -> None:
    """Nobody wants a content any more that is being fetched."""
    if not fetching.cancelled() and fetching.exception() is None:
        os.close(fetching.result().fd)


def _chunks(fd: int) -> Iterator[bytes]:
    position = 0
    while chunk := os.pread(fd, CHUNK, position):  # the offset of the descriptor is the queue's as well
        yield chunk
        position += len(chunk)
