"""A QMTP server's answers to remote: one report a recipient, unknown letters temporary, nonsense ends the connection."""

import asyncio

import host

from appliance.errors import Result
from appliance.lease import Delivery, Report
from appliance.remote.mx import Address
from appliance.remote.qmtp import Packages

WORDS = (b"3:Kok,", b"2:Zx,", b"2:Dx,", b"0:,", b"1:?,", b"10001:", b":", b",", b"\0", b"9:K\r\n\r\nabcd,")


def target(data: bytes) -> None:
    asyncio.run(_talk(data))


async def _talk(data: bytes) -> None:
    owner, transport = Owner(), Transport()
    session = Packages(owner, Address(b"mx.b.example", "192.0.2.1", 209), 600)
    transport.session = session
    session.connection_made(transport)
    session.advance()
    for piece in host.pieces(data):
        if transport.closed:
            break
        session.data_received(piece)
    if not transport.closed:
        transport.abort()
    assert len(owner.done) == owner.given
    for delivery, told in owner.done:
        assert len(told) == len(delivery.recipients)
        assert all(each.result in Result and b"\0" not in each.text for each in told)
    known = data.count(b"K")
    assert sum(each.result is Result.DONE for _, told in owner.done for each in told) <= known


class Owner:
    """Has three deliveries, and remembers what became of each."""

    def __init__(self) -> None:
        self.given = 0
        self.done: list[tuple[Delivery, list[Report]]] = []
        self.waiting = [
            Delivery(n, n, 1, b"b.example", b"s@a.example", (b"r@b.example",) * n, 3, b"abc") for n in (1, 2, 3)
        ]

    def next(self, session: Packages) -> Delivery | None:
        self.given += bool(self.waiting)
        return self.waiting.pop() if self.waiting else None

    def finished(self, session: Packages, delivery: Delivery, results: list[Report]) -> None:
        self.done.append((delivery, results))

    def again(self, session: Packages, delivery: Delivery) -> None:
        self.done.append((delivery, [Report(Result.TEMPORARY)] * len(delivery.recipients)))

    def idle(self, session: Packages) -> None:
        """Nothing to do."""

    closed = moving = idle


class Transport:
    """A server that reads all at once."""

    closed = False
    session: Packages

    def write(self, data: bytes) -> None:
        assert not self.closed

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """As large as it is."""

    def get_extra_info(self, name: str) -> None:
        """Nothing is known."""

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            self.session.connection_lost(None)

    close = abort
