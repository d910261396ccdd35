"""A little DNS server on loopback, UDP and TCP on one port, told its zone by a table."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

ZONE = "example."
SOA = "ns.example. root.example. 1 3600 600 86400 30"


class NameServer:
    """records: {(name, type): [texts] | rcode | "hang"}; a name without any record does not exist."""

    def __init__(self, records: dict[tuple[str, str], object]) -> None:
        self.records = records
        self.asked: list[str] = []

    def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}{' tcp' if tcp else ''}")
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        for _ in range(3):  # follow CNAMEs as a resolver does
            target = self.records.get((name, "CNAME"))
            if not isinstance(target, list):
                break
            reply.answer.append(dns.rrset.from_text(name + ".", 60, "IN", "CNAME", target[0] + "."))
            name = target[0]
        found = self.records.get((name, kind))
        if found == "hang":
            return None
        if isinstance(found, dns.rcode.Rcode):
            reply.set_rcode(found)
        elif isinstance(found, list):
            reply.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, *found))
        else:
            reply.authority.append(dns.rrset.from_text(ZONE, 60, "IN", "SOA", SOA))
            if not any(known == name for known, _ in self.records):
                reply.set_rcode(dns.rcode.NXDOMAIN)
        wire = reply.to_wire(max_size=65535)
        if not tcp and len(wire) > 512:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            wire = reply.to_wire()
        return wire

    @asynccontextmanager
    async def serving(self):
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._stream, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        udp.setblocking(False)
        loop.add_reader(udp, self._datagram, udp)
        try:
            yield self
        finally:
            loop.remove_reader(udp)
            udp.close()
            server.close()

    def _datagram(self, udp: socket.socket) -> None:
        wire, peer = udp.recvfrom(4096)
        reply = self.answer(wire, tcp=False)
        if reply is not None:
            udp.sendto(reply, peer)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        reply = self.answer(await reader.readexactly(size), tcp=True)
        if reply is not None:
            writer.write(struct.pack("!H", len(reply)) + reply)
            await writer.drain()
        writer.close()
