"""Who holds what: the deliveries in memory, those ready to go, and the workers that take them.

In memory only (guarantee 3): a worker that goes away, and a queue that starts again, returns
every lease.  What does not fit here stays on disk and is read back when there is room.

A remote destination begins with few leases and gets one more with each success, so fifty hosts that hang
hold a hundred leases and not all of them.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from operator import attrgetter

from appliance.queue.held import Held, Worker
from appliance.queue.store import LOCAL

HELD = 10_000  # deliveries of a channel in memory at most
BYTES = 32 * 1024 * 1024  # content of them
FIRST = 2  # leases of a remote destination of which nothing is known; each success allows one more
NEAR = 400  # weight of one remote destination in memory: of what is read back, and of all once memory is half full
KNOWN = 10_000  # struggling destinations remembered
WEIGHT = 8192  # bytes of content that weigh as much as one delivery more
EACH = 20  # weight in memory for each lease that is allowed, once memory is half full
RUN = 20  # deliveries to one destination before another one's turn
TOGETHER = 256 * 1024  # bytes of content handed to a worker in one write, about; then it is seen whether it reads them
RETURNS = 3  # times a delivery may come back from workers that died before it has to wait


class Channel:
    """The deliveries of one channel in memory, and its workers."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.hold = False  # control/concurrency… is 0
        self.give: Callable[[Worker, Held, float], None] = Worker.give
        self.held: dict[int, Held] = {}
        self.bytes = 0
        self.workers: list[Worker] = []
        self.struggling: dict[bytes, None] = {}  # remote destinations whose last attempt was put off
        self.recovered: set[bytes] = set()  # that did not fail any more
        self.barred: Callable[[int], bool] = lambda _: False  # whether a message may not begin
        self._near: float = NEAR if number != LOCAL else inf
        self._ready: dict[bytes, deque[Held]] = {}  # by destination
        self._turn: deque[bytes] = deque()  # destinations with something ready, each once
        self._sated: set[bytes] = set()  # those with something ready that have all their leases out: not in turn
        self._out: dict[bytes, int] = {}  # leases and reports under way, by destination
        self._here: dict[bytes, int] = {}  # weight of those in memory, by destination
        self._proven: dict[bytes, int] = {}  # successes of those destinations, since the last failure

    # -- what is in memory --------------------------------------------------------------

    def full(self) -> bool:
        """No more deliveries fit."""
        return len(self.held) >= HELD or self.bytes >= BYTES

    def roomy(self) -> bool:
        """Enough has gone that reading back is worth while."""
        return len(self.held) < HELD * 3 // 4 and self.bytes < BYTES * 3 // 4

    def _half_empty(self) -> bool:
        return len(self.held) <= HELD // 2 and self.bytes <= BYTES // 2

    def near(self, destination: bytes, coming: int = 0) -> bool:
        """The destination has as much in memory as is worth reading back, with those on their way."""
        near = min(self._near, EACH * self._allowed(destination))
        return self._here.get(destination, 0) + coming >= near

    def crowded(self, destination: bytes) -> bool:
        """The destination has as much in memory as it may."""
        return self.near(destination) and not self._half_empty()

    def sparse(self, destination: bytes) -> bool:
        """More of this destination is worth reading back."""
        return self._here.get(destination, 0) < self._near // 2

    def take(self, delivery: Held) -> None:
        """Keep a delivery in memory, ready to go."""
        self.held[delivery.id] = delivery
        message = delivery.message
        size = len(message.content or b"")
        self._here[delivery.destination] = self._here.get(delivery.destination, 0) + 1 + size // WEIGHT
        message.held += 1
        self.bytes += size
        self._make_ready(delivery)

    def release(self, delivery: Held) -> None:
        """Forget a delivery whose report is committed."""
        del self.held[delivery.id]
        destination, message = delivery.destination, delivery.message
        size = len(message.content or b"")
        _decrement(self._here, destination, 1 + size // WEIGHT)
        self._returned(destination)
        message.held -= 1
        self.bytes -= size
        self._learn(delivery)
        if destination not in self._here:
            self._proven.pop(destination, None)

    def withdraw(self, message: int) -> list[Held]:
        """Forget what is ready of a message; what workers have stays."""
        found: list[Held] = []
        for delivery in [held for held in self.held.values() if held.message.id == message]:
            waiting = self._ready.get(delivery.destination, ())
            if delivery not in waiting:
                continue
            self._ready[delivery.destination].remove(delivery)
            del self.held[delivery.id]
            size = len(delivery.message.content or b"")
            _decrement(self._here, delivery.destination, 1 + size // WEIGHT)
            self.bytes -= size
            found.append(delivery)
        return found

    def _allowed(self, destination: bytes) -> int:
        """Leases of a destination at a time."""
        return HELD if self.number == LOCAL else FIRST + self._proven.get(destination, 0)

    def _learn(self, delivery: Held) -> None:
        """What an attempt says about its destination; one that was put off is due after it began."""
        destination = delivery.destination
        if self.number == LOCAL:
            return
        if delivery.due > delivery.started:
            self._proven.pop(destination, None)
            self.struggling[destination] = None
            if len(self.struggling) > KNOWN:
                del self.struggling[next(iter(self.struggling))]
        else:
            self._proven[destination] = self._proven.get(destination, 0) + 1
            if destination in self.struggling:
                del self.struggling[destination]
                self.recovered.add(destination)

    def _returned(self, destination: bytes) -> None:
        """A lease has ended."""
        _decrement(self._out, destination)
        if destination in self._sated:
            self._sated.remove(destination)
            self._turn.append(destination)

    def _make_ready(self, delivery: Held, *, first: bool = False) -> None:
        waiting = self._ready.get(delivery.destination)
        if waiting is None:
            waiting = self._ready[delivery.destination] = deque()
            self._turn.append(delivery.destination)
        if first:
            waiting.appendleft(delivery)
        else:
            waiting.append(delivery)

    # -- workers ------------------------------------------------------------------------

    def leave(self, worker: Worker) -> list[Held]:
        """A worker is gone: its leases return; those that came back too often are handed to the caller."""
        self.workers.remove(worker)
        unlucky: list[Held] = []
        for delivery in reversed(worker.leased.values()):
            delivery.worker = None
            delivery.returns += 1
            if delivery.returns >= RETURNS:
                unlucky.append(delivery)
            else:
                self._returned(delivery.destination)
                self._make_ready(delivery, first=True)
        worker.leased.clear()
        return unlucky

    def holds(self, process: int, message: int) -> bool:
        """Whether a worker of that process has a delivery of the message in hand."""
        own = (worker for worker in self.workers if worker.process == process)
        return any(held.message.id == message for worker in own for held in worker.leased.values())

    @property
    def leased(self) -> int:
        """Deliveries in workers' hands."""
        return sum(len(worker.leased) for worker in self.workers)

    def dispatch(self, now: float) -> None:
        """Hand out what is ready, as far as workers have credit; one write for each worker."""
        if self.hold or not self._turn:
            return
        cap = HELD  # a host that hangs must not hold all workers: half of them at most
        if self.number != LOCAL:
            cap = (1 + sum(worker.credit + len(worker.leased) for worker in self.workers)) // 2
        hungry = [worker for worker in self.workers if worker.hungry]
        capped: list[bytes] = []
        give = self.give
        while self._turn and hungry:
            destination = self._turn.popleft()
            waiting = self._ready[destination]
            leased = self._out.get(destination, 0)
            own, room = self._allowed(destination) - leased, cap - leased
            if not waiting:  # it was withdrawn
                del self._ready[destination]
                continue
            if own <= 0:
                self._sated.add(destination)
                continue
            if room <= 0:
                capped.append(destination)
                continue
            worker = max(hungry, key=attrgetter("credit")) if len(hungry) > 1 else hungry[0]
            count = min(worker.credit, room, own, RUN, len(waiting))
            for _ in range(count):
                give(worker, waiting.popleft(), now)
            self._out[destination] = leased + count
            if waiting:
                self._turn.append(destination)
            else:
                del self._ready[destination]
            worker.serve(TOGETHER)
            if not worker.hungry:
                hungry.remove(worker)
        self._turn.extend(capped)
        for worker in self.workers:
            worker.serve()


def _decrement(counts: dict[bytes, int], key: bytes, by: int = 1) -> None:
    count = counts.get(key, 0) - by
    if count > 0:
        counts[key] = count
    else:
        counts.pop(key, None)
