"""remote's connection to the queue: takes deliveries by lease, returns results.

Credit keeps some deliveries waiting here for each connection to the world, so that none of
them idles; deliveries parked at hops that do not move are made up for, to a limit.
Reports and credit of one turn of the event loop leave in one write.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from appliance import lease, log, netstring
from appliance.lease import Delivery, Report
from appliance.remembered import Remembered

AHEAD = 10  # deliveries in hand for each connection
PARKED = 250  # deliveries made up for; at 128 KiB each that is 32 MiB


class Worker(asyncio.Protocol):
    """One connection to the lease door, made again by its owner when it is lost.

    take  told each delivery
    lost  told that the leases are void
    forget  told that silent addresses may be tried again
    """

    def __init__(
        self,
        hello: bytes,
        remembered: Remembered,
        take: Callable[[Delivery], None],
        lost: Callable[[], None],
        forget: Callable[[], None],
    ) -> None:
        self.concurrency = 0
        self.parked = 0
        self._hello = hello
        self._remembered = remembered
        self._take = take
        self._lost = lost
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = netstring.Decoder(lease.FRAME)
        self._held: dict[int, tuple[Delivery, tuple[bytes, ...]]] = {}  # with the recipients as the queue gave them
        self._granted = 0  # deliveries the queue may still send
        self._outgoing: list[bytes] = []
        self._flushing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's transports inherit from nothing
        self._transport = transport
        transport.write(self._hello)
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
            if b"S" in frames:
                self._forget()
                frames = [frame for frame in frames if frame != b"S"]
            deliveries = [lease.decode_delivery(frame) for frame in frames]
        except ValueError as error:
            log.trouble("the queue does not speak the lease protocol, connecting again", error)
            self.close()
            return
        for delivery in deliveries:
            self._granted -= 1
            self._held[delivery.id] = (delivery, delivery.recipients)
            if delivery.message in self._remembered:
                self._leave_out_known(delivery)
            if delivery.recipients:
                self._take(delivery)
            else:
                self.finish(delivery, [])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # whatever it was, leases are void
        self._transport = None
        self._held.clear()
        self._lost()

    def finish(self, delivery: Delivery, results: list[Report]) -> None:
        """Report a delivery, if its lease still holds."""
        held, recipients = self._held.get(delivery.id, (None, ()))
        if held is not delivery:
            return  # the queue hands it out again, and is told then what we remember
        del self._held[delivery.id]
        if recipients is not delivery.recipients:
            results = self._remembered.complete(delivery, results, recipients)
        self._outgoing.append(lease.encode_report(delivery.id, results))
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what there is to say."""
        self._flushing = False
        if self._transport is None:
            return
        wanted = self.concurrency * AHEAD + min(self.parked, PARKED) - len(self._held) - self._granted
        if wanted > 0:
            self._granted += wanted
            self._outgoing.append(lease.encode_credit(wanted))
        if self._outgoing:
            self._transport.write(b"".join(self._outgoing))
            self._outgoing.clear()

    def tell(self, frame: bytes) -> None:
        """Send a frame with the next flush."""
        self._outgoing.append(frame)

    def close(self) -> None:
        """Let go of the connection, after what was written."""
        if self._transport is not None:
            self._transport.close()

    def _leave_out_known(self, delivery: Delivery) -> None:
        """Only those recipients are left who have not got the message already."""
        left = self._remembered.unknown(delivery)
        if len(left) < len(delivery.recipients):
            delivery.recipients = left
