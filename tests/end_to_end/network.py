"""Two network namespaces on one cable, for tests: we in one of them; name server and mail exchangers in the other."""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

HERE = "192.0.2.1"
NAME_SERVER = "192.0.2.53"
NEWNET = 0x40000000
SOA = "ns.example. root.example. 1 3600 600 86400 30"

Zone = dict[tuple[str, str], list[str] | dns.rcode.Rcode]


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """What this thread opens and starts belongs to a namespace; others stay where they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as there:
        assert libc.setns(there.fileno(), NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), NEWNET) == 0


@contextmanager
def network(world: list[str]) -> Iterator[tuple[str, str]]:
    """Namespaces (ours, the world's); `world`: its addresses beside the name server's."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip (Debian package iproute2)")
    ours, theirs = f"paperpath-us-{os.getpid()}", f"paperpath-world-{os.getpid()}"
    try:
        _ip(f"netns add {ours}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    try:
        _ip(f"netns add {theirs}")
        _ip(f"-n {ours} link add cable type veth peer name cable netns {theirs}")
        for name, addresses in ((ours, [HERE]), (theirs, [NAME_SERVER, *world])):
            for address in addresses:
                _ip(f"-n {name} addr add {address}/24 dev cable")
            _ip(f"-n {name} link set lo up")
            _ip(f"-n {name} link set cable up")
        yield ours, theirs
    finally:
        for name in (ours, theirs):
            with suppress(subprocess.CalledProcessError):
                _ip(f"netns del {name}")


@contextmanager
def name_server(zone: Zone) -> Iterator[None]:
    """Answers from a zone on port 53; a name without any record does not exist."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((NAME_SERVER, 53))
        thread = threading.Thread(target=_serve, args=(udp, zone))
        thread.start()
        try:
            yield
        finally:
            udp.sendto(b"", (NAME_SERVER, 53))  # it takes that as the end
            thread.join()


def _serve(udp: socket.socket, zone: Zone) -> None:
    while True:
        wire, peer = udp.recvfrom(4096)
        if not wire:
            return
        udp.sendto(_answer(wire, zone), peer)


def _answer(wire: bytes, zone: Zone) -> bytes:
    query = dns.message.from_wire(wire)
    name, kind = query.question[0].name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(query.question[0].rdtype)
    reply = dns.message.make_response(query, recursion_available=True)
    found = zone.get((name, kind))
    if isinstance(found, dns.rcode.Rcode):
        reply.set_rcode(found)
    elif found is not None:
        reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *found))
    else:
        reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", SOA))
        if not any(known == name for known, _ in zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()
