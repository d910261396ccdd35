"""The queue program: open the store, bind the doors, lock in, work until told to stop."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvloop

from appliance import door, log, partition, safeio, sandbox
from appliance.control import Control
from appliance.door import Guard
from appliance.listener import allow_many_sessions
from appliance.queue import filesystem
from appliance.queue.admin import Admin
from appliance.queue.body import Bodies
from appliance.queue.clock import Clock
from appliance.queue.commit import Writer
from appliance.queue.door import Visitor
from appliance.queue.durable import DurableStore
from appliance.queue.intake import Intake
from appliance.queue.present import DESCRIPTORS, Present
from appliance.queue.rescue import aside
from appliance.queue.rescue.recovery import Recovery, committed
from appliance.queue.rescue.upkeep import Upkeep
from appliance.queue.retry import Occasions, waits_too_long
from appliance.queue.service import Service
from appliance.queue.store import Refused
from appliance.queue.worker import WorkerDoor
from appliance.state import State

PATIENCE = 4.0  # seconds for workers to report what they have in hand when the queue stops
BACKLOG = 512
CANNOT = 111  # the exit status that asks to be started again later, as qmail's


def main(state: State) -> int:
    """Run until SIGTERM; 0, or 111 if the queue can't be opened."""
    log.setup("queue")
    allow_many_sessions(DESCRIPTORS)
    try:
        store = open_store(state)
        bodies = Bodies(state.bodies)
        there = committed(state.queue, store)
        orphans = bodies.remove_orphans(store.contains, aside.strays(state))
        doors = {name: (Guard(state, name), bind(state.door(name))) for name in ("intake", "lease", "admin")}
        control = Control(state)
        control.current()
    except OSError as error:
        log.trouble("queue: cannot start", error)
        log.flush()
        return CANNOT
    for missing in sandbox.lock(partition.queue(state)):
        log.warning(missing)
    if orphans:
        log.warning(f"queue: {orphans} unfinished body files of an earlier run removed")
    try:
        return uvloop.run(Program(state, store, bodies, control, doors).run(there))
    except (OSError, LookupError) as error:
        log.trouble("queue: ended", error)
        return CANNOT
    finally:
        log.flush()


def open_store(state: State) -> DurableStore:
    """The folders and the database. Raises OSError."""
    for folder in (state.queue, state.bodies):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    found = filesystem.kind(state.queue.resolve(), filesystem.TABLE.read_text())
    if filesystem.is_network(found):
        raise Refused(f"{state.queue} lies on a network file system ({found}); the queue needs a local one")
    aside.hold(state.queue)
    store = aside.open_queue(state)
    safeio.sync_directory(state.queue)
    safeio.sync_directory(state.root)
    return store


def bind(path: Path) -> socket.socket:
    """A listening socket. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = door.make(path)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


class Program:
    """The queue at work."""

    def __init__(
        self,
        state: State,
        store: DurableStore,
        bodies: Bodies,
        control: Control,
        doors: dict[str, tuple[Guard, socket.socket]],
    ) -> None:
        self._state = state
        self._store, self._bodies, self._control, self._doors = store, bodies, control, doors
        self._present = Present()
        self._servers: list[asyncio.Server] = []

    async def run(self, there: set[int]) -> int:
        """Until SIGTERM or SIGINT: 0; or until the database turns out to be damaged: 111.

        there  of a damaged queue's messages: `committed`
        """
        loop = asyncio.get_running_loop()
        log.setup("queue", loop.call_soon, wait=loop.call_later)
        loop.set_exception_handler(_unforeseen)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        service = Service(self._store, self._control, self._bodies, Clock(), loop.call_later)
        writer = Writer(self._store, loop.call_soon_threadsafe, loop.call_soon, loop.call_later, service.settled)
        damage: list[str] = []

        def damaged(what: str) -> None:
            if not damage:
                aside.suspect(self._state, what)
            damage.append(what)
            loop.call_soon_threadsafe(stop.set)

        self._store.on_damage(damaged)
        late = waits_too_long(service, self._store)
        writer.start()
        service.connect(writer)
        self.recovery = Recovery(self._state.queue, service, self._store, there)
        self._obey(service, late=late)
        await self._open(service)
        log.started(service.generation.name, messages=service.count)
        if service.send_log is not None:
            service.send_log.status()
        recovering = loop.create_task(self.recovery.run())
        await stop.wait()
        recovering.cancel()
        if damage:
            log.trouble("queue: the database is damaged; it is set aside by a new start", damage[0])
        log.stopping("damage" if damage else "signal")
        if service.send_log is not None:
            service.send_log.stopping()
        await self._close(service, writer)
        log.stopped()
        if service.send_log is not None:
            service.send_log.stopped()
        return CANNOT if damage else 0

    def _obey(self, service: Service, *, late: bool) -> None:
        """qmail-send's other signals: look at the configuration, try everything now; and so if the clock asks for it."""
        loop = asyncio.get_running_loop()
        occasions = Occasions(service, self._store, self._state.mail)
        loop.add_signal_handler(signal.SIGHUP, service.refresh)
        loop.add_signal_handler(signal.SIGALRM, occasions.try_all)
        if late:
            log.warning("queue: mail waits longer than it should, by a clock that was ahead; all of it is tried now")
            occasions.try_all()
        occasions.look()

    async def _open(self, service: Service) -> None:
        loop, present = asyncio.get_running_loop(), self._present
        upkeep = Upkeep(self._state.queue, self._store, self._bodies, self.recovery, service.astray)
        make: dict[str, Callable[[Guard], Visitor]] = {
            "intake": lambda guard: Intake(guard, present, service),
            "lease": lambda guard: WorkerDoor(guard, present, service),
            "admin": lambda guard: Admin(guard, present, service, self._store, upkeep),
        }
        for name, (guard, listener) in self._doors.items():
            # not create_unix_server, which would remove the socket at the end, and the sandbox does not let it
            server = await loop.create_server(partial(make[name], guard), sock=listener, backlog=BACKLOG)
            self._servers.append(server)

    async def _close(self, service: Service, writer: Writer) -> None:
        """Nothing new; commit what is in hand, take reports that come soon."""
        for server in self._servers:
            server.close()
        for visitor in self._present:
            if isinstance(visitor, Intake):
                visitor.transport.pause_reading()
        service.stop_leasing()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not (  # noqa: ASYNC110  # many things end here, within PATIENCE
            writer.idle and not any(channel.leased for channel in service.channels)
        ):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0)  # what this turn committed is answered at its end: who hears nothing sends it again
        for visitor in self._present.everybody():
            visitor.transport.close()
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._bodies.pool, writer.stop)
        await asyncio.sleep(0.01)  # the last answers leave
        self._bodies.close()
        self._store.close()


def _unforeseen(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """A defect of ours in a callback: said, and the queue goes on."""
    log.trouble(f"queue: {context.get('message')}", repr(context.get("exception")))
