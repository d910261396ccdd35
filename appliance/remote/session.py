"""A connection to a next host: owns the socket, drives the client, keeps the times.

It asks its owner for the next delivery whenever the dialogue has room for one, so a connection
serves as many messages as wait, one after the other.
"""

import asyncio
import os
from collections import deque
from typing import Protocol, cast

from appliance import address
from appliance.errors import Result, Temporary, internal
from appliance.lease import Delivery, Report
from appliance.remote import content, reports
from appliance.remote.client import LIMITS, Client, Phase
from appliance.remote.content import Content
from appliance.remote.mx import Address
from appliance.remote.transaction import Transaction
from appliance.threads import SHARED

BLOCK = 180  # seconds for a block of content to be taken
IDLE = 1.0  # seconds a connection is kept for mail that may come
BUFFER = 128 * 1024  # bytes of content that wait for the peer


class Owner(Protocol):
    """Who gives a session its work."""

    def next(self, session: "Session") -> Delivery | None:
        """Another delivery for this connection, if there is one."""

    def fetch(self, delivery: Delivery) -> "asyncio.Future[Content]":
        """A large content, fetched in a thread."""

    def finished(self, session: "Session", delivery: Delivery, results: list[Report]) -> None:
        """A delivery has its results."""

    def again(self, session: "Session", delivery: Delivery) -> None:
        """The connection ended before the delivery began: it is for another one."""

    def elsewhere(self, session: "Session") -> bool:
        """The peer puts its first message off: whether another address of the hop is to be asked instead."""

    def moving(self, session: "Session") -> None:
        """The peer takes a large content, block by block."""

    def idle(self, session: "Session") -> None:
        """Nothing to do."""

    def closed(self, session: "Session") -> None:
        """The connection is gone."""


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, owner: Owner, address: Address, helo: bytes, answer: int) -> None:
        self.address = address
        self.name = address.name
        self.count = 0  # messages that were accepted
        self.abandoned = False  # the queue took its leases back
        self.deadline = float("inf")
        self.heard = 0.0  # when the dialogue last went on
        self.loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[Report | None] = self.loop.create_future()
        self._owner = owner
        self._ip = address.ip.encode()
        self._client = Client(helo)
        self._limits = {step: min(limit, answer) for step, limit in LIMITS.items()}
        self._block = min(BLOCK, answer)
        self._hand: deque[Delivery] = deque()  # in the order of their transactions
        self._task: asyncio.Task[None] | None = None  # fetches or streams a large content
        self._fd = -1
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._lost_cause = "the connection was closed"

    # -- for the owner ----------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a delivery is in hand."""
        return bool(self._hand)

    def advance(self) -> None:
        """Begin what there is room for, send what is to be sent."""
        client, transport = self._client, self._transport
        if transport is None or transport.is_closing():
            return
        if client.broken is not None:
            self.abort(client.broken)
            return
        while client.room and self._task is None and (delivery := self._owner.next(self)) is not None:
            self._hand.append(delivery)
            if delivery.content is None:
                self._task = self.loop.create_task(self._fetch(delivery))
            else:
                self._begin(delivery, content.small(delivery.content))
        if output := client.output():
            transport.write(output)
            self._restart_clock()
        if client.stream is not None and self._task is None:
            self._task = self.loop.create_task(self._stream())
        elif not self._hand and client.phase is Phase.ENDING:
            transport.close()
        elif not self._hand and client.phase is Phase.READY:
            self.deadline = self.loop.time() + IDLE
            self._owner.idle(self)

    def check(self, now: float) -> None:
        """End what takes too long."""
        if now < self.deadline or self._task is not None:
            return  # a task has a clock of its own
        if not self._hand and self._client.phase is Phase.READY:
            self.quit()
        else:
            self.abort(f"no answer to {self._client.waiting or 'nothing'} in time")

    def quit(self) -> None:
        """Part in peace: nothing is in hand."""
        if self._transport is not None and not self._transport.is_closing():
            self._client.quit()
            self._transport.write(self._client.output())
            self._transport.close()

    def abort(self, cause: str) -> None:
        """Drop the connection; what is in hand fails for now."""
        self._lost_cause = cause
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """The queue took its leases back: nothing that the peer has not got yet may be sent."""
        self.abandoned = True
        if not self._client.dot_outstanding:
            self.abort("the queue is gone")

    # -- from the socket ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's transports inherit from nothing
        transport.set_write_buffer_limits(high=BUFFER, low=BUFFER // 4)
        self._transport = transport
        self._restart_clock()

    def data_received(self, data: bytes) -> None:
        client = self._client
        before = client.replies
        for transaction in client.receive(data):
            self._done(transaction)
        if client.replies != before:  # a peer that trickles bytes gains no time by it
            self._restart_clock()
        if not self.opened.done():
            if client.phase is Phase.READY:
                self.opened.set_result(None)  # the owner, who waits for it, calls `advance`
                return
            if client.refusal is not None:
                self.opened.set_result(self._unwelcome())
                self.quit()
                return
        self.advance()

    def connection_lost(self, exc: Exception | None) -> None:
        cause = str(exc) if exc is not None else self._lost_cause
        if self._task is not None:
            self._task.cancel()
        for transaction in self._client.lost(cause):
            self._done(transaction)
        while self._hand:  # being fetched, not begun
            self._give_back(self._hand[0], cause)
        self._close_content()
        if not self.opened.done():
            self.opened.set_result(self._dead(cause))
        self._owner.closed(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- deliveries ---------------------------------------------------------------------------

    def _begin(self, delivery: Delivery, body: Content) -> None:
        refusal = reports.unsendable(delivery, body.size, self._client.size)
        if refusal is not None:
            self._hand.remove(delivery)
            self._close_content()
            self._owner.finished(self, delivery, [refusal] * len(delivery.recipients))
            return
        self._client.begin(
            # the queue leases a sender of its own for each recipient singly
            Transaction(
                address.verp(delivery.sender, delivery.recipients[0]),
                delivery.recipients,
                body.wire,
                body.size,
                eight_bit=body.eight_bit,
            )
        )

    def _done(self, transaction: Transaction) -> None:
        delivery = self._hand.popleft()
        if transaction.body is None and not transaction.dot_sent:
            self._close_content()  # else it may be the next one's already
        if self.count and (transaction.mail is None or 400 <= transaction.mail.code < 500):
            # perhaps it has only had enough of this connection; a fresh one will tell
            self._client.phase = Phase.ENDING
            self._owner.again(self, delivery)
            return
        results = reports.reports(transaction, self._ip)
        fresh = not self.count and not transaction.dot_sent
        if fresh and all(each.result is Result.TEMPORARY for each in results) and self._owner.elsewhere(self):
            self._client.phase = Phase.ENDING
            self._owner.again(self, delivery)
            return
        self.count += transaction.final is not None and transaction.final.code < 400
        self._owner.finished(self, delivery, results)

    async def _fetch(self, delivery: Delivery) -> None:
        fetching = self._owner.fetch(delivery)
        try:
            body = await asyncio.shield(fetching)
            self._fd = body.fd
            if self._client.room:
                self._begin(delivery, body)
            else:
                self._give_back(delivery, "the connection came to its end")
        except asyncio.CancelledError:
            fetching.add_done_callback(content.discard)
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the message must get an answer
            self._hand.remove(delivery)
            self._close_content()
            self._owner.finished(self, delivery, [unreadable(error)] * len(delivery.recipients))
        self._task = None
        self._restart_clock()
        self.advance()

    def _give_back(self, delivery: Delivery, cause: str) -> None:
        """A delivery that was never begun: for another connection, if this one was any good."""
        self._hand.remove(delivery)
        self._close_content()
        if self.count:
            self._owner.again(self, delivery)
        else:
            self._owner.finished(self, delivery, [self._dead(cause)] * len(delivery.recipients))

    async def _stream(self) -> None:
        assert self._transport is not None
        chunks = content.wire_chunks(self._fd)
        try:
            while (chunk := await self.loop.run_in_executor(SHARED, next, chunks, None)) is not None:
                self._transport.write(chunk)
                async with asyncio.timeout(self._block):
                    await self._writable.wait()
                self._owner.moving(self)
        except TimeoutError:
            self.abort("it does not take the content")
            return
        except Exception as error:  # noqa: BLE001  # half a content must never be followed by a dot
            self.abort(f"the content can't be read: {error}")
            return
        self._task = None
        self._close_content()
        if self._client.stream is not None:  # else the peer has answered in the middle of it
            self._client.streamed()
        self.advance()

    def _close_content(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _restart_clock(self) -> None:
        step = self._client.waiting
        self.heard = self.loop.time()
        self.deadline = self.heard + (self._limits[step] if step is not None else self._block)

    def _unwelcome(self) -> Report:
        refusal = self._client.refusal
        assert refusal is not None
        text = b"Connected to %b but it does not want to talk to us.\n%b\n" % (self._ip, reports.said(refusal))
        return Report(Result.TEMPORARY, text)  # a 5xx as well, as in qmail: it is about us, not about the message

    def _dead(self, cause: str) -> Report:
        return reports.failure(Temporary(451, "4.4.2", f"Connected to {self.address.ip} but no greeting: {cause}"))


def unreadable(error: Exception) -> Report:
    """A content can't be read now."""
    if not isinstance(error, OSError):
        return reports.failure(internal(error))
    return reports.failure(Temporary(451, "4.3.0", "The content can't be read now", error))
