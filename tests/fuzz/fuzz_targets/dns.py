"""Answers of name servers: addresses to try, or a permanent or temporary failure; never anything else.

The first byte is how many bytes answer the question for MX; the rest answers those for addresses.  Each part is
flags, counts and records as they are on the wire; the question is put in.
"""

import asyncio
import ipaddress
from unittest import mock

import dns.asyncbackend
import dns.exception
import dns.message
import dns.nameserver

from appliance import dns as asked
from appliance.errors import MailError
from appliance.remote import mx
from appliance.remote.hops import Hop

_LIFETIME = 0.01  # seconds that a server that talks nonsense is asked again
WORDS = (
    b"\x81\x80",
    b"\xc0\x0c",
    b"\0\x0f\0\1",
    b"\0\1\0\1",
    b"\0\x1c\0\1",
    b"\0\5\0\1",
    b"\0\0\0\0\0\4",
    b"\3foo\0",
    b"\0\6\0\1",
)
WORDS += (b"\x81\x83", b"\x81\x82", b"\x83\x80", b"\xc0\xff", b"\0\1\0\0\0\0", b"\7example\0", b"\3a b\0", b"\xff\xff")


class Server(dns.nameserver.Nameserver):
    """Answers with the same bytes, whatever it is asked."""

    def __init__(self, first: bytes, others: bytes) -> None:
        self._first, self._others = first, others

    def __str__(self) -> str:
        return "Do53:192.0.2.53@53"

    def kind(self) -> str:
        return "Do53"

    def is_always_max_size(self) -> bool:
        return False

    def answer_nameserver(self) -> str:
        return "192.0.2.53"

    def answer_port(self) -> int:
        return 53

    async def async_query(self, request: dns.message.QueryMessage, *args, **options) -> dns.message.Message:
        wire = request.to_wire()
        question = wire[12 : wire.index(b"\0", 12) + 5]
        data = self._first if request.question[0].rdtype == 15 else self._others
        head, records = data[:8].ljust(8, b"\0"), data[8:]
        found = dns.message.from_wire(wire[:2] + head[:2] + b"\0\1" + head[2:8] + question + records)
        if not request.is_response(found):
            raise dns.exception.FormError("another question")
        return found


async def _at_once(interval: float) -> None:
    """No waiting before the server is asked again."""


def target(data: bytes) -> None:
    first = data[0] if data else 0
    with mock.patch.object(asked, "LIFETIME", _LIFETIME):
        asyncio.run(_ask(data[1 : 1 + first], data[1 + first :]))


async def _ask(first: bytes, others: bytes) -> None:
    with mock.patch.object(dns.asyncbackend.get_default_backend(), "sleep", _at_once):
        await _hops(first, others)


async def _hops(first: bytes, others: bytes) -> None:
    resolver = asked.Resolver(servers=[("192.0.2.53", 53)], hosts="/nonexistent")
    resolver._stub.nameservers = [Server(first, others)]
    for host in (b"b.example", others[:70], b"x" * 64 + b".example"):
        try:
            found = await mx.addresses(Hop(host), resolver, lambda name, ip: name == b"mx.here.example")
        except MailError as error:
            assert error.text.isascii()
            assert error.text.isprintable()
        else:
            for address in found:
                ipaddress.ip_address(address.ip)
