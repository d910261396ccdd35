"""The intake door: small messages as pipelined frames, a large one on a connection of its own.

Whoever has entered here can submit mail, and hear whether there is room for it; nothing else is understood.
"""

import asyncio
from collections import Counter
from functools import partial
from typing import ClassVar

from appliance import envelope, intake, log
from appliance.door import Guard
from appliance.queue.body import Arriving
from appliance.queue.door import Outbox, Visitor
from appliance.queue.items import FULL, LATER
from appliance.queue.peer import uid
from appliance.queue.present import Present
from appliance.queue.service import Service
from appliance.queue.store import Change

CROWD = 32 * 1024 * 1024  # bytes waiting for a commit, above which nothing more is read,
MANY = 10_000  # and so many messages
RECIPIENTS = 200_000  # of one message: they are sorted in one go, a second at most
LARGE = {"smtpd": 512, "qmtpd": 64, "inject": 64, "local": 64}  # large messages arriving at the same time
PATIENCE = 3600.0  # seconds for the next piece of one
# bytes on top of control/databytes: trace lines, and what forwarding by a program adds; for what was accepted once,
# and is forwarded by `local`, there is no limit
TRACE = {"smtpd": 4096, "qmtpd": 4096, "inject": 65536}
NOBODY = envelope.Envelope(b"", ())
WINDOW = 8  # chunks of one that wait for the disk


class Intake(Visitor):
    """A program that brings mail."""

    limit = intake.FRAME
    large: ClassVar[Counter[str]] = Counter()  # connections that bring a large message now, by role

    def __init__(self, guard: Guard, present: Present, service: Service) -> None:
        super().__init__(guard, present)
        self._service = service
        self._chunks: asyncio.Queue[bytes | None] | None = None
        self._late = False  # the envelope is still to come, after the content
        self._ended = False  # the content has come
        self._asked = False  # it is told what room there is

    @property
    def streaming(self) -> bool:
        """Whether this connection brings a large message."""
        return self._chunks is not None

    def entered(self) -> None:
        self._outbox = Outbox(asyncio.get_running_loop().call_soon, self.write)
        self._by = self.role if self.role != "inject" else f"uid {uid(self.transport)}"

    def frames(self, frames: list[bytes]) -> None:
        self._service.refresh()  # who brings mail may follow a newer configuration already
        for frame in frames:
            if self._chunks is not None:
                self._chunk(frame)
            elif frame[:1] == b"L":
                self._begin(frame)
            elif frame == intake.ASK and not self._asked:
                self._asked = True
                self._service.room.tell(self._outbox.add)
            else:
                self._take(frame)
        writer = self._service.writer
        if (self._service.unwritten > CROWD or writer.pending > MANY) and self._chunks is None:
            self.wait()
            writer.submit(Resuming(self))
        elif self._service.flow.behind and self._chunks is None:
            self.wait()
            self._service.flow.wait(self.go_on)

    def _take(self, frame: bytes) -> None:
        try:
            letter, start = envelope.decode(frame)
        except envelope.EnvelopeError as error:
            self._service.refuse(self._outbox.add, b"D" + str(error).encode())
            self.mistake(str(error))
            return
        if len(frame) - start > intake.INLINE:
            raise ValueError("a large message in one frame")
        refusal = self._refusal(letter)
        if refusal:
            self._service.refuse(self._outbox.add, refusal)
            return
        try:
            self._service.accept(self._by, letter, memoryview(frame)[start:], self._outbox.add)
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is temporary, and no other request's fault (guarantee 9)
            log.trouble("queue: a request can't be taken, its sender is asked to try again", repr(error))
            self._service.refuse(self._outbox.add, LATER)

    def _refusal(self, letter: envelope.Envelope | None) -> bytes:
        """Why a message can't be taken, whatever its content."""
        room = self._service.room
        if room.scarce and (self.role == "inject" or (room.short and (self.role != "local" or room.none))):
            return FULL
        if letter is not None and len(letter.recipients) > RECIPIENTS:
            return b"Dmore than %d recipients" % RECIPIENTS
        return b""

    # -- a large message ----------------------------------------------------------------

    def _begin(self, frame: bytes) -> None:
        self._late = frame == b"L"
        letter = None if self._late else _whole(frame[1:])
        self._chunks = asyncio.Queue()
        refusal = self._refusal(letter)
        if not refusal and Intake.large[self.role] >= LARGE[self.role]:
            refusal = b"Ztoo many large messages at the same time"
        if refusal:
            self._end(refusal)
            return
        Intake.large[self.role] += 1
        self._task = asyncio.get_running_loop().create_task(self._receive(letter, self._chunks))

    def _chunk(self, frame: bytes) -> None:
        assert self._chunks is not None
        if self._ended and not self._late:
            raise ValueError("something after the end of a large message")
        if len(frame) > intake.CHUNK and not self._ended:
            raise ValueError("a chunk is too large")
        self._late = self._late and not self._ended
        self._ended = self._ended or not frame
        self._chunks.put_nowait(frame)
        if self._chunks.qsize() > WINDOW:
            self.wait()

    async def _receive(self, letter: envelope.Envelope | None, chunks: "asyncio.Queue[bytes | None]") -> None:
        service, bodies = self._service, self._service.bodies
        now = service.clock()
        number, ways = service.place(letter or NOBODY, now)
        kept = False
        file = Arriving(number)
        try:
            size = await self._write(file, service.received(number, self._by, now), chunks, ended=letter is not None)
            if size is not None and letter is None:
                last = await _next(chunks)
                if last is not None:  # else the connection is gone, and so is the message
                    letter = _whole(last)
                    if refusal := self._refusal(letter):
                        self._end(refusal)
                        return
                    number, ways = service.place(letter, now)  # a new id, for those of its deliveries follow it
                    head = service.received(number, self._by, now)
                    await asyncio.get_running_loop().run_in_executor(bodies.pool, bodies.rename, file, head, number)
            if size is not None and letter is not None:
                kept = True
                service.accept_body(self._by, letter, number, ways, size, self._outbox.add)
        except envelope.EnvelopeError as error:
            self._end(b"D" + str(error).encode())
        except TimeoutError:
            self.refuse(f"a large message stood still for {PATIENCE:.0f} s")
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is temporary (guarantee 9)
            kept = False
            log.trouble("queue: a large message can't be written, its sender is asked to try again", error)
            self._end(LATER)
        finally:
            Intake.large[self.role] -= 1
            file.close()
            if not kept:
                bodies.remove(file.message)

    async def _write(
        self, file: Arriving, trace: bytes, chunks: "asyncio.Queue[bytes | None]", *, ended: bool
    ) -> int | None:
        """Write the trace line and the chunks as they come, many at a time; the file's size, None if it must be dropped.

        ended  nothing is written after the last chunk: the file is synced with it
        """
        loop, service = asyncio.get_running_loop(), self._service
        bodies, databytes = service.bodies, service.databytes
        limit = databytes + len(trace) + TRACE[self.role] if databytes and self.role in TRACE else 0
        some: list[bytes | None] = [trace]
        size, last = 0, False
        while not last:
            while len(some) <= WINDOW and not last:
                chunk = await _next(chunks)
                some.append(chunk)
                last = not chunk
            if chunks.qsize() <= WINDOW:
                self.go_on()
            if some[-1] is None:  # the connection is gone, and so is the message
                return None
            data = b"".join(chunk for chunk in some if chunk)
            size += len(data)
            refusal = b"Dmessage too large" if limit and size > limit else self._refusal(None)
            if refusal:
                self._end(refusal)
                return None
            service.room.take(len(data))
            await loop.run_in_executor(bodies.pool, partial(bodies.write, file, data, ended=last and ended))
            some = []
        return size

    def _end(self, text: bytes) -> None:
        """Answer and close; what still comes is not read."""
        self._outbox.add(text)
        asyncio.get_running_loop().call_soon(self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._asked:
            self._service.room.forget(self._outbox.add)
        if self._chunks is not None:
            self._chunks.put_nowait(None)


async def _next(chunks: "asyncio.Queue[bytes | None]") -> bytes | None:
    """The next chunk, None if the connection is gone. Raises TimeoutError."""
    if chunks.qsize():
        return chunks.get_nowait()
    async with asyncio.timeout(PATIENCE):
        return await chunks.get()


def _whole(data: bytes) -> envelope.Envelope:
    """An envelope with nothing behind it. Raises EnvelopeError."""
    letter, end = envelope.decode(data)
    if end != len(data):
        raise envelope.EnvelopeError("something after the envelope of a large message")
    return letter


class Resuming:
    """Reads on once all that came before is committed."""

    keep = False

    def __init__(self, visitor: Intake) -> None:
        self.change: Change | None = None
        self._visitor = visitor

    def done(self, error: Exception | None) -> None:  # noqa: ARG002  # nothing was written
        self._visitor.go_on()
