"""What the queue and its workers (local, remote) say to each other.

After the hello the worker sends frames, and the queue sends deliveries as they fall due:

    W<n>                         worker: up to n more deliveries, please
    R<id> NUL (K|Z|D)text NUL …  worker: the result of delivery `id`, one record for each recipient
    S<ip> <port> <time-outs> <when> NUL …  remote: all addresses that do not answer, whenever that changes
    <header> NUL <destination> NUL <envelope><content>   queue: a delivery
    S                            queue: forget those addresses

header is `id message attempt size inline`, decimal.  Content of at most intake.INLINE comes inline;
a larger one is fetched once as a descriptor (`fetch_body`).  A worker that disconnects returns
its leases; a recipient without a result counts as temporary.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from appliance import door, envelope, netstring
from appliance.errors import Result
from appliance.state import State

RECIPIENTS = 100  # of one message in one delivery: RFC 5321 section 4.5.3.1.8 promises that many
FRAME = 8 * 1024 * 1024
TEXT = 10_000  # bytes of a report's text that are kept, as in qmail-send
SILENT = 2000  # addresses that one program tells of; remote remembers fewer
FETCH_TIMEOUT = 60.0
_DIGITS = 19
_APART = 16 * 1024  # bytes of content that are worth a piece of their own


@dataclass(slots=True)
class Delivery:
    """One attempt to be made: some recipients of one message that go the same way.

    id           of the delivery, unique while it is in the queue
    message      the message's id
    attempt      1 for the first
    destination  b"" for local; the domain, in lower case, for remote
    size         bytes of the content
    content      None: ask fetch_body for it
    """

    id: int
    message: int
    attempt: int
    destination: bytes
    sender: bytes
    recipients: tuple[bytes, ...]
    size: int
    content: bytes | None


class Report(NamedTuple):
    """What became of one recipient; the text is for people: in the log and in a bounce."""

    result: Result
    text: bytes = b""


def encode_delivery(delivery: Delivery) -> bytes:
    """The delivery's frame."""
    return b"".join(delivery_pieces(delivery))


def delivery_pieces(delivery: Delivery) -> list[bytes]:
    """The same in pieces, a large content as it is: a connection can write it without another copy."""
    content = delivery.content or b""
    header = b"%d %d %d %d %d\0%b\0" % (
        delivery.id,
        delivery.message,
        delivery.attempt,
        delivery.size,
        delivery.content is not None,
        delivery.destination,
    )
    start = header + envelope.encode(delivery.sender, delivery.recipients)
    if len(content) < _APART:
        return [netstring.encode(start + content)]
    return [b"%d:%b" % (len(start) + len(content), start), content, b","]


def decode_delivery(payload: bytes) -> Delivery:
    """The delivery in a frame. Raises ValueError."""
    header, destination, rest = payload.split(b"\0", 2)
    number, message, attempt, size, inline = map(int, header.split(b" "))
    letter, start = envelope.decode(rest)
    content = rest[start:] if inline else None
    return Delivery(number, message, attempt, destination, letter.sender, letter.recipients, size, content)


def encode_credit(count: int) -> bytes:
    """The frame that asks for `count` more deliveries."""
    return netstring.encode(b"W%d" % count)


def encode_report(delivery: int, reports: list[Report]) -> bytes:
    """The frame with a delivery's results, in the order of its recipients."""
    records = [report.result.encode() + report.text[:TEXT].replace(b"\0", b"?") + b"\0" for report in reports]
    return netstring.encode(b"R%d\0" % delivery + b"".join(records))


def decode_report(payload: bytes) -> tuple[int, list[Report]]:
    """A delivery's id and results; an unknown letter is temporary, of a text its beginning is kept. Raises ValueError."""
    delivery, *records = payload[1:].split(b"\0", RECIPIENTS + 2)  # whoever says more has lost count
    return number(delivery), [Report(_LETTERS.get(r[:1], Result.TEMPORARY), r[1 : TEXT + 1]) for r in records[:-1]]


def number(digits: bytes) -> int:
    """A decimal number as we write it: no sign, no blank, no leading zero, at most what an id can be. Raises ValueError."""
    if not digits.isdigit() or len(digits) > _DIGITS or (digits[:1] == b"0" and len(digits) > 1):
        raise ValueError("a decimal number expected")
    return int(digits)


class Silence(NamedTuple):
    """An address that does not answer: time-outs in a row, and when the last one was (seconds since 1970)."""

    ip: str
    port: int
    timeouts: int
    when: int


def encode_silences(silences: Iterable[Silence]) -> bytes:
    """The frame that tells the queue of all of them."""
    return netstring.encode(b"S" + b"".join([b"%b %d %d %d\0" % (s.ip.encode(), *s[1:]) for s in silences]))


def decode_silences(payload: bytes) -> list[Silence]:
    """The addresses in such a frame. Raises ValueError."""
    records = payload[1:].split(b"\0", SILENT + 1)
    if len(records) > SILENT + 1:
        raise ValueError(f"more than {SILENT} addresses that do not answer")
    fields = (record.split(b" ") for record in records[:-1])
    return [
        Silence(str(ip_address(ip.decode("ascii"))), number(port), number(count), number(when))
        for ip, port, count, when in fields
    ]


FORGET = netstring.encode(b"S")

_LETTERS = {result.encode(): result for result in Result}


def fetch_body(state: State, hello: bytes, message: int) -> int:
    """A read-only descriptor of a large message's content, at offset 0; the caller closes it.

    Blocks up to FETCH_TIMEOUT seconds. Raises OSError (try again later).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(FETCH_TIMEOUT)
        connection.connect(str(state.door("lease")))
        connection.sendall(hello + netstring.encode(b"B%d" % message))
        data, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        if data != b"K" or len(descriptors) != 1:
            for fd in descriptors:
                os.close(fd)
            raise FileNotFoundError(f"the queue gave no content for message {message}")
        # the descriptor is shared with the queue: read with pread, or open it anew
        return descriptors[0]


def worker_hello(state: State, role: str) -> bytes:
    """The first frame of a worker. Raises OSError."""
    return door.hello(role, door.read_token(state, role))
