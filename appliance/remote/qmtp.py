"""A connection to a next host that speaks QMTP (http://cr.yp.to/proto/qmtp.txt): packages out, an answer a recipient in.

There is no greeting and no turn to wait for: a package is a message with its sender and recipients, several
may be on their way, and they are answered in their order.  A content goes as it is stored, with LF.
"""

import asyncio
import os
from collections.abc import Iterator

from appliance import address, netstring
from appliance.errors import Result
from appliance.lease import Delivery, Report
from appliance.remote import content, reports
from appliance.remote.hops import Hop
from appliance.remote.mx import Address
from appliance.remote.session import BLOCK, IDLE, Owner, Session, unreadable
from appliance.remote.settings import Settings
from appliance.threads import SHARED

WINDOW = 10  # packages on their way
ANSWER = 600  # seconds, as for the dot of SMTP (RFC 5321 section 4.5.3.2.6)
_LONGEST = 10_000  # bytes of an answer
_LETTERS = {result.encode(): result for result in Result}


def opening(size: int) -> bytes:
    """What stands before a content of so many bytes."""
    return b"%d:\n" % (size + 1)


def closing(sender: bytes, recipients: tuple[bytes, ...]) -> bytes:
    """What stands after it."""
    return b"," + netstring.encode(sender) + netstring.encode(b"".join(map(netstring.encode, recipients)))


def report(answer: bytes, host: bytes) -> Report:
    """What an answer means for its recipient; a letter that nobody knows is temporary."""
    result = _LETTERS.get(answer[:1], Result.TEMPORARY)
    what = b"accepted message" if result is Result.DONE else b"does not like recipient"
    said = reports.clean(answer[1:])
    return Report(result, b"%b %b.\nRemote host said: %b\n" % (host, what, said))


class Packages(Session):
    """One connection."""

    def __init__(self, owner: Owner, address: Address, answer: int) -> None:
        super().__init__(owner, address, b"", answer)
        self._decoder = netstring.Decoder(_LONGEST)
        self._patience = min(ANSWER, answer)
        self._sent = 0  # deliveries in hand that the peer has whole
        self._told: list[Report] = []  # about the first one in hand

    def advance(self) -> None:
        while self._alive and len(self._hand) < WINDOW and self._task is None:
            delivery = self._owner.next(self)
            if delivery is None:
                break
            self._hand.append(delivery)
            if delivery.content is None:
                self._task = self.loop.create_task(self._send_large(delivery))
            elif self._sendable(delivery, len(delivery.content)):
                self._write(opening(len(delivery.content)), delivery.content, self._closing(delivery))
                self._sent += 1
        if self._alive and not self._hand:
            self.deadline = self.loop.time() + IDLE
            self._owner.idle(self)

    def check(self, now: float) -> None:
        if now < self.deadline or (self._task is not None and not self.abandoned):
            return  # a task has a clock of its own
        if self._hand:
            self.abort("no answer in time")
        else:
            self.quit()

    def quit(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abandon(self) -> None:
        self.abandoned = True
        if self._task is not None:
            self._task.cancel()  # half a package stays half: the queue gives the message to somebody anew
        self._part()

    def _part(self) -> None:
        """The leases are gone, and the peer has answered all that it has."""
        if self.abandoned and not self._sent:
            self.abort("the queue is gone")

    # -- from the socket ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.opened.set_result(None)  # the owner, who waits for it, calls `advance`

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._decoder.feed(data)
        except netstring.FramingError:
            self.abort("it does not speak QMTP")
            return
        for answer in answers:
            if not self._sent:
                self.abort("an answer to nothing")
                return
            self._told.append(report(answer, self._ip))
            if len(self._told) == len(self._hand[0].recipients):
                self._finish(self._hand.popleft())
        self._restart_clock()
        self._part()
        self.advance()

    def connection_lost(self, exc: Exception | None) -> None:
        cause = str(exc) if exc is not None else self._lost_cause
        if self._task is not None:
            self._task.cancel()
        self._close_content()
        while self._hand:
            delivery = self._hand.popleft()
            if self._sent or not self.count:
                left = len(delivery.recipients) - len(self._told)
                self._told += [reports.interrupted(self._ip, cause, duplicate=self._sent > 0)] * left
                self._finish(delivery)
            else:
                self._owner.again(self, delivery)
        self._owner.closed(self)

    # -- deliveries -----------------------------------------------------------------------

    @property
    def _alive(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _finish(self, delivery: Delivery) -> None:
        results, self._told = self._told, []
        self._sent = max(0, self._sent - 1)
        self.count += any(each.result is Result.DONE for each in results)
        self._owner.finished(self, delivery, results)

    def _sendable(self, delivery: Delivery, size: int) -> bool:
        refusal = reports.unsendable(delivery, size, None)
        if refusal is not None:
            self._hand.remove(delivery)
            self._owner.finished(self, delivery, [refusal] * len(delivery.recipients))
        return refusal is None

    def _closing(self, delivery: Delivery) -> bytes:
        return closing(address.verp(delivery.sender, delivery.recipients[0]), delivery.recipients)

    def _write(self, *pieces: bytes) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(pieces))
        self._restart_clock()

    def _restart_clock(self) -> None:
        self.heard = self.loop.time()
        self.deadline = self.heard + self._patience

    async def _send_large(self, delivery: Delivery) -> None:
        fetching = self._owner.fetch(delivery)
        try:
            self._fd = (await asyncio.shield(fetching)).fd
        except asyncio.CancelledError:
            fetching.add_done_callback(content.discard)  # from here on `_close_content` closes it, and nobody else
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is; the packages on their way have no part in it
            self._hand.remove(delivery)
            self._owner.finished(self, delivery, [unreadable(error)] * len(delivery.recipients))
            self._task = None
            self.advance()
            return
        try:
            size = os.fstat(self._fd).st_size
            if self._sendable(delivery, size):
                self._write(opening(size))
                await self._stream_raw(content.raw_chunks(self._fd))
                self._write(self._closing(delivery))
                self._sent += 1
        except Exception as error:  # noqa: BLE001  # half a package must never be followed by another
            self.abort(f"the content can't be sent: {error or 'it is not taken in time'}")
            return
        self._close_content()
        self._task = None
        self.advance()

    async def _stream_raw(self, chunks: Iterator[bytes]) -> None:
        while (chunk := await self.loop.run_in_executor(SHARED, next, chunks, None)) is not None:
            self._write(chunk)
            async with asyncio.timeout(min(BLOCK, self._patience)):
                await self._writable.wait()
            self._owner.moving(self)


def connection(owner: Owner, hop: Hop, address: Address, settings: Settings) -> Session:
    """The kind of connection that a hop needs."""
    if hop.qmtp:
        return Packages(owner, address, settings.answer)
    return Session(owner, address, settings.helo, settings.answer)
