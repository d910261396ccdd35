"""The lease door: workers take deliveries and report them; a connection of its own fetches a body.

A worker gets what is its role's, reports what it holds, and reads what it holds: the fetching connection must come
from the process whose lease it is.
"""

import asyncio
import os
import socket

from appliance import lease, log
from appliance.door import Guard
from appliance.queue.door import Visitor
from appliance.queue.held import Worker
from appliance.queue.leases import Channel
from appliance.queue.peer import process
from appliance.queue.present import Present
from appliance.queue.service import Service
from appliance.queue.store import CHANNELS

MOST = 10_000  # credit that is believed
FULL = 2 * 1024 * 1024  # bytes that a worker has not read yet, above which it gets no more,
ROOM = FULL // 2  # until it has read them down to these
SOCKET = 1024 * 1024  # bytes the socket may hold, if the kernel allows it: local reads ten large messages at a time


class WorkerDoor(Visitor):
    """A program that delivers."""

    limit = lease.FRAME

    def __init__(self, guard: Guard, present: Present, service: Service) -> None:
        super().__init__(guard, present)
        self._service = service
        self._channel: Channel
        self.worker: Worker | None = None
        self.silences: list[lease.Silence] = []  # addresses that do not answer, as remote tells

    def entered(self) -> None:
        self._channel = self._service.channels[CHANNELS.index(self.role)]
        self._process = process(self.transport)
        self.transport.set_write_buffer_limits(FULL, ROOM)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET)

    def frames(self, frames: list[bytes]) -> None:
        for frame in frames:
            kind = frame[:1]
            if kind == b"R":
                self._report(frame)
            elif kind == b"W":
                self._credit(lease.number(frame[1:]))
            elif kind == b"S":
                self.silences = lease.decode_silences(frame)
            elif kind == b"B" and self.worker is None:
                self._send_body(lease.number(frame[1:]))
                return
            else:
                raise ValueError("W, R, S or B expected")
        if self._service.leasing:
            self._channel.dispatch(self._service.clock())

    def _credit(self, count: int) -> None:
        if self.worker is None:
            self.worker = Worker(self._send, self._process)
            self._channel.workers.append(self.worker)
        self.worker.credit = min(MOST, self.worker.credit + count)

    def _send(self, frames: list[bytes]) -> None:
        if not self.transport.is_closing():  # what a worker that is gone does not get returns with its leases
            self.transport.writelines(frames)

    def pause_writing(self) -> None:
        if self.worker is not None:
            self.worker.full = True

    def resume_writing(self) -> None:
        if self.worker is not None:
            self.worker.full = False
            asyncio.get_running_loop().call_soon(self._service.dispatch)

    def _report(self, frame: bytes) -> None:
        number, reports = lease.decode_report(frame)
        delivery = self.worker.leased.pop(number, None) if self.worker else None
        if delivery is None:
            log.warning(f"queue: {self.role} reported delivery {number}, which it does not hold; ignored")
            self.mistake("a report of what it does not hold")
            return
        delivery.worker = None
        self._service.reported(self._channel, delivery, reports)

    def _send_body(self, message: int) -> None:
        """The file's descriptor by SCM_RIGHTS, then the end; nothing if that process does not hold the message."""
        own = os.dup(self.transport.get_extra_info("socket").fileno())
        # without asking the kernel what it is, which may fail
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, own)
        try:
            if self._channel.holds(self._process, message):
                fd = self._service.bodies.checked(message, self._service.messages[message].size)
                try:
                    socket.send_fds(connection, [b"K"], [fd])  # one byte into an empty buffer never blocks
                finally:
                    os.close(fd)
        except OSError as error:
            log.trouble("queue: a body file can't be handed out", error)
        finally:
            connection.close()
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.worker is not None:
            worker, self.worker = self.worker, None
            asyncio.get_running_loop().call_soon(self._service.leave, self._channel, worker)
