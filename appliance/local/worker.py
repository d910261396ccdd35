"""The connection to the queue: takes deliveries as they fall due, batch by batch, and reports them.

A plain loop on a blocking socket.  While a batch is delivered the next one gathers in
the socket, so batches grow with the load, and an idle machine delivers a message as soon as it
comes.  Under load a short pause before the next batch saves most of the processor time, which
is spent in syncs: 4,000 messages at 1,700/s cost 1.6 s without it and 0.35 s with 3 or 10 ms.
"""

import select
import socket
import time
from collections.abc import Sequence

from appliance import lease, log, netstring
from appliance.errors import Result
from appliance.lease import Delivery, Report
from appliance.local.content import Content
from appliance.local.deliver import Deliverer
from appliance.remembered import Remembered
from appliance.state import State

CREDIT = 1200  # deliveries that the queue may give us at a time: a batch, and those after it
BATCH = 400  # as many as come while a slow disk syncs the batch before: 25 ms where an fsync takes 5 ms
_BYTES = 4 << 20  # of a batch at most, about
_LARGE = 50  # large messages of a batch at most, and
_LARGE_BYTES = 16 << 20  # their size, about
GATHER = 0.005  # seconds for which more may come, if some came while we were at work; not when idle
_READ = 1 << 20
_RETRY = 0.1  # seconds between two attempts to reach the queue
_TELL = 20  # attempts before the log says so: the queue starts when we do


class Worker:
    """Works until `stop` (a descriptor) is readable."""

    def __init__(self, state: State, hello: bytes, deliverer: Deliverer, stop: int) -> None:
        self._state = state
        self._hello = hello
        self._deliverer = deliverer
        self._stop = stop
        self._remembered = Remembered()
        self._decoder = netstring.Decoder(lease.FRAME)
        self._leased: dict[int, tuple[bytes, ...]] = {}  # all recipients of deliveries that came before
        self._failed = 0  # attempts to reach the queue since it last sent something

    def run(self) -> None:
        """Connect, work, connect again if the queue restarts; returns when told to stop."""
        while not self._stopped(_RETRY if self._failed else 0):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                try:
                    connection.connect(str(self._state.door("lease")))
                    connection.sendall(self._hello + lease.encode_credit(CREDIT))
                    self._work(connection)
                except (OSError, ValueError) as error:  # ValueError: it does not speak our format
                    self._failed += 1
                    if self._failed == _TELL:
                        log.trouble("no connection to the queue, trying again", error)
                        log.flush()
            self._deliverer.beside.forget()
            self._leased.clear()

    def _stopped(self, seconds: float) -> bool:
        return bool(select.select([self._stop], [], [], seconds)[0])

    def _work(self, connection: socket.socket) -> None:
        """Raises OSError, ValueError when the connection is of no more use."""
        self._decoder = netstring.Decoder(lease.FRAME)
        waiting: list[bytes] = []
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        beside = self._deliverer.beside
        poll.register(beside.ready, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll(0)]
            if ready and len(waiting) < BATCH:
                time.sleep(GATHER)
                ready = [fd for fd, _ in poll.poll(0)]
            elif not waiting:
                ready = [fd for fd, _ in poll.poll(beside.patience)]
            if self._stop in ready:
                self._tell_finished(connection, stop=True)
                return  # what is leased and not begun goes back to the queue with the connection
            if beside.ready in ready or beside.ended:
                self._tell_finished(connection)
            if connection.fileno() in ready:
                self._receive(connection, waiting)
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            if batch:
                self._deliver(connection, [lease.decode_delivery(frame) for frame in batch])

    def _receive(self, connection: socket.socket, waiting: list[bytes]) -> None:
        """Take what has arrived, up to a batch."""
        room = _BYTES
        try:
            while len(waiting) < BATCH and room > 0:
                if self._decoder.pending:  # the queue has more than the socket holds, and its rest follows at once
                    select.select([connection], [], [], GATHER)
                data = connection.recv(_READ, socket.MSG_DONTWAIT)
                room -= len(data)
                if not data:
                    raise ConnectionError("the queue closed the connection")
                self._failed = 0
                waiting.extend(self._decoder.feed(data))
        except BlockingIOError:
            return

    def _deliver(self, connection: socket.socket, deliveries: list[Delivery]) -> None:
        """Small messages together and first, then large ones, as many as share a sync without making each other wait long."""
        small = [
            (delivery, Content(delivery.content, delivery.size))
            for delivery in deliveries
            if delivery.content is not None
        ]
        if small:
            self._batch(connection, small)
        large = [delivery for delivery in deliveries if delivery.content is None]
        while large:
            count, size = 0, 0
            while count < min(_LARGE, len(large)) and size < _LARGE_BYTES:
                size += large[count].size
                count += 1
            self._large(connection, large[:count])
            large = large[count:]

    def _large(self, connection: socket.socket, deliveries: Sequence[Delivery]) -> None:
        """Contents stay in the queue's files: only their descriptors come here."""
        fetched: list[tuple[Delivery, Content]] = []
        try:
            for delivery in deliveries:
                try:
                    fd = lease.fetch_body(self._state, self._hello, delivery.message)
                except OSError as error:
                    log.trouble("cannot fetch a large message from the queue, it is deferred", error)
                    report = Report(Result.TEMPORARY, b"451 4.3.0 cannot fetch the message from the queue")
                    frame = lease.encode_report(delivery.id, [report] * len(delivery.recipients))
                    connection.sendall(frame + lease.encode_credit(1))
                else:
                    fetched.append((delivery, Content(None, delivery.size, fd)))
            if fetched:
                self._batch(connection, fetched)
        finally:
            for _, content in fetched:
                content.close()

    def _batch(self, connection: socket.socket, batch: Sequence[tuple[Delivery, Content]]) -> None:
        for delivery, _ in batch:
            if delivery.message in self._remembered:
                self._leased[delivery.id] = delivery.recipients
                delivery.recipients = self._remembered.unknown(delivery)
        told = 0
        for reported in self._deliverer.deliver(batch):
            frames = [self._report(delivery, reports) for delivery, reports in reported]
            log.flush()  # before the report: what the queue forgets must be in the log
            connection.sendall(b"".join(frames) + lease.encode_credit(len(frames)))
            told += len(frames)
        if told < len(batch):  # the others go on beside; they keep nobody waiting
            connection.sendall(lease.encode_credit(len(batch) - told))

    def _tell_finished(self, connection: socket.socket, *, stop: bool = False) -> None:
        """Report what is done beside; what was leased before the queue restarted is only remembered."""
        frames: list[bytes] = []
        for delivery, reports, leased in self._deliverer.finished(stop=stop):
            if leased:
                frames.append(self._report(delivery, reports))
            else:
                self._remember(delivery, reports)
        log.flush()
        if frames:
            connection.sendall(b"".join(frames))

    def _report(self, delivery: Delivery, reports: list[Report]) -> bytes:
        """The report's frame; who has the message is remembered in case the queue does not get it."""
        self._remember(delivery, reports)
        if self._leased:
            leased = self._leased.pop(delivery.id, None)
            if leased is not None:
                reports = self._remembered.complete(delivery, reports, leased)
        return lease.encode_report(delivery.id, reports)

    def _remember(self, delivery: Delivery, reports: list[Report]) -> None:
        results = zip(delivery.recipients, reports, strict=True)
        if done := [recipient for recipient, report in results if report.result is Result.DONE]:
            self._remembered.add(delivery.message, done)
