"""A message between DATA and the queue's answer.

Up to INLINE bytes it waits here to its end and leaves in one request; a larger one streams
to the queue as it comes.  A message that turns out unacceptable is read to its end all the
same, for only there may the client be told.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from appliance import intake
from appliance.errors import MailError
from appliance.smtpd.data import Reader
from appliance.smtpd.stream import Stream
from appliance.state import State

# the queue's answer to a small message, the id of a large one, or why there is none
Outcome = bytes | str | BaseException


@dataclass(frozen=True, slots=True)
class Door:
    """The way to the queue that all sessions share.

    shared: the connection for all small messages; hello: opens one more for a large message.
    """

    state: State
    shared: intake.Intake
    hello: bytes


class Arrival:
    """One message.  trace: what stands before its content; room: called when it makes sense to read on."""

    __slots__ = ("_door", "_reader", "_room", "_stream", "_task", "_trace", "complete", "recipients", "sender")

    def __init__(
        self, door: Door, sender: bytes, recipients: list[bytes], trace: bytes, reader: Reader, room: Callable[[], None]
    ) -> None:
        self.sender = sender
        self.recipients = recipients
        self.complete = False
        self._door = door
        self._trace = trace
        self._reader = reader
        self._room = room
        self._stream: Stream | None = None
        self._task: asyncio.Task[str] | None = None

    @property
    def size(self) -> int:
        """Bytes of content as stored, without our own trace header."""
        return self._reader.size

    def feed(self, data: bytes) -> bytes | None:
        """Read content; what follows its end, or None if it goes on."""
        reader = self._reader
        rest = reader.feed(data)
        if self._stream is None:
            if reader.size > intake.INLINE - len(self._trace) and reader.problem() is None:
                self._begin_stream()
        else:
            piece = reader.take()
            if self._task is not None and not self._task.done():  # else nobody takes it: read on without keeping it
                self._stream.put(piece)
        self.complete = rest is not None
        return rest

    @property
    def crowded(self) -> bool:
        """Whether the client should wait until the queue has taken what is here."""
        return self._stream is not None and self._stream.crowded and self._task is not None and not self._task.done()

    def finish(self, answered: Callable[[Outcome], None]) -> MailError | None:
        """Hand it over; the queue's answer goes to `answered`.  Or say why it can't be taken."""
        problem = self._reader.problem()
        if self._stream is not None and self._task is not None:
            self._stream.end(problem)
            self._task.add_done_callback(lambda task: answered(_outcome(task)))
            return None
        if problem is None:
            frame = intake.request(self.sender, self.recipients, self._trace, *self._reader.pieces())
            self._door.shared.submit(frame, answered)
        return problem

    def cancel(self) -> None:
        """The client is gone.  What has not come to its end leaves nothing in the queue."""
        if self._task is not None and not self.complete:
            self._task.cancel()

    def _begin_stream(self) -> None:
        self._stream = Stream(self._room)
        self._stream.put(self._trace + self._reader.take())
        door, recipients = self._door, tuple(self.recipients)
        self._task = asyncio.ensure_future(
            intake.submit_large(door.state, door.hello, self.sender, recipients, self._stream)
        )
        self._task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[str]") -> None:
        if not task.cancelled():
            task.exception()  # told to the client at the end of its content, if it gets there
        self._room()


def _outcome(task: "asyncio.Task[str]") -> Outcome:
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()
