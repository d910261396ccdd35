"""The remote program: locks itself in, then delivers until it is told to stop."""

import asyncio
import signal
import time
from contextlib import suppress

from appliance import event_loop, lease, log, message_id, partition, sandbox
from appliance.control import Control
from appliance.dns import Resolver
from appliance.errors import Result
from appliance.lease import Delivery, Report
from appliance.remembered import Remembered
from appliance.remote import content
from appliance.remote.content import Content
from appliance.remote.dispatch import Dispatch
from appliance.remote.hops import SMTP
from appliance.remote.settings import Settings
from appliance.remote.worker import Worker
from appliance.state import State
from appliance.threads import SHARED

TICK = 0.25  # seconds between looks at the clock
RETRY = 0.1  # seconds between attempts to reach the queue
GRACE = 5.0  # seconds that transactions in hand may take at the end


class Remote:
    """Worker, dispatch and settings, put together."""

    def __init__(self, state: State, control: Control, settings: Settings, hello: bytes) -> None:
        self._state = state
        self._control = control
        self._hello = hello
        self._ports = ports(settings)
        self._refused = ""  # a generation that can't be used, so that it is said once
        self._reason: str | None = None  # why it stops
        self._stopping = asyncio.Event()
        self._remembered = Remembered()
        self._worker: Worker | None = None
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver(settings.resolvers)
        self._dispatch = Dispatch(settings, self._resolver, self._finish, self._fetch)

    def stop(self, reason: str) -> None:
        """Begin an orderly end."""
        self._reason = self._reason or reason
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`."""
        connecting: asyncio.Task[None] | None = None
        while self._reason is None:
            self._follow()
            if self._worker is None and (connecting is None or connecting.done()):
                connecting = asyncio.create_task(self._connect())
            now = self._loop.time()
            self._dispatch.check(now)
            if self._worker is not None:
                self._worker.parked = self._dispatch.parked(now)
                self._worker.concurrency = self._dispatch.settings.concurrency
                self._tell_silent(now)
                self._worker.flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK if self._worker is not None else RETRY)
        if connecting is not None:
            connecting.cancel()
        await self._end()

    async def _end(self) -> None:
        log.stopping(self._reason or "")
        self._dispatch.stop()
        until = self._loop.time() + GRACE
        while self._dispatch.busy and self._loop.time() < until:  # noqa: ASYNC110  # once, at the end
            await asyncio.sleep(0.02)
        self._dispatch.close()
        await asyncio.sleep(0)  # the last reports
        if self._worker is not None:
            self._worker.concurrency = self._worker.parked = 0
            self._worker.flush()
            self._worker.close()
        await asyncio.sleep(0.01)  # connections say goodbye

    async def _connect(self) -> None:
        silent = self._dispatch.silent
        worker = Worker(self._hello, self._remembered, self._dispatch.take, self._lost, silent.forget)
        worker.concurrency = self._dispatch.settings.concurrency
        self._worker = worker
        try:
            await self._loop.create_unix_connection(lambda: worker, str(self._state.door("lease")))
        except OSError:  # the queue is not there yet, or not any more: the supervisor says so
            self._worker = None
        else:
            silent.changed = bool(silent.known)  # a queue that started anew knows of none

    def _tell_silent(self, now: float) -> None:
        """Tell the queue which addresses do not answer, for qmail-tcpto."""
        silent = self._dispatch.silent
        if self._worker is not None and silent.changed:
            silent.changed = False
            past = time.time() - now
            known = [lease.Silence(*key, each.count, round(each.last + past)) for key, each in silent.known.items()]
            self._worker.tell(lease.encode_silences(known))

    def _lost(self) -> None:
        self._worker = None
        self._dispatch.forget()

    def _finish(self, delivery: Delivery, results: list[Report], peer: str) -> None:
        done = [r for r, report in zip(delivery.recipients, results, strict=True) if report.result is Result.DONE]
        if done:  # whether or not the queue can be told now
            self._remembered.add(delivery.message, done)
            name = message_id.text(delivery.message)
            delay = time.time() - message_id.born(delivery.message)
            text = next(report.text for report in results if report.result is Result.DONE).rstrip()
            for recipient in done:
                log.delivered(name, recipient, peer, delivery.attempt, delay, text)
        if self._worker is not None:
            self._worker.finish(delivery, results)

    def _fetch(self, delivery: Delivery) -> "asyncio.Future[Content]":
        return self._loop.run_in_executor(SHARED, content.large, self._state, self._hello, delivery.message)

    def _follow(self) -> None:
        """Use the generation in force; one that can't be used changes nothing."""
        try:
            generation = self._control.current()
            if generation.name in (self._dispatch.settings.name, self._refused):
                return
            settings = Settings.of(generation)
        except (OSError, LookupError, ValueError) as error:
            log.trouble("the new configuration can't be used, the old one stays in force", error)
            self._refused = generation.name
            return
        if not ports(settings) <= self._ports:
            # the sandbox only tightens: the supervisor starts us anew with the new ports
            self.stop("the routes need a port that the sandbox does not allow")
            return
        if settings.resolvers != self._dispatch.settings.resolvers:
            self._resolver = Resolver(settings.resolvers)
        self._dispatch.follow(settings, self._resolver)


def ports(settings: Settings) -> frozenset[int]:
    """The TCP ports that a configuration needs; DNS answers that are cut off come by TCP."""
    return settings.routes.ports | {SMTP, 53} | {port for _, port in settings.resolvers}


async def _serve(state: State, control: Control, settings: Settings, hello: bytes) -> None:
    remote = Remote(state, control, settings, hello)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, remote.stop, signal.Signals(number).name)
    await remote.run()


def main(state: State) -> int:
    """Deliver until SIGTERM. Raises OSError, LookupError, ValueError if it can't begin."""
    hello = lease.worker_hello(state, "remote")
    control = Control(state)
    settings = Settings.of(control.current())
    with asyncio.Runner(loop_factory=event_loop.new) as runner:
        log.setup("remote", runner.get_loop().call_soon)
        for lack in sandbox.lock(partition.remote(state, ports(settings))):
            log.warning(lack)
        log.started(settings.name)
        runner.run(_serve(state, control, settings, hello))
        log.stopped()
        log.flush()
    return 0
