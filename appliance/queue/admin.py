"""The admin door: ping, list, show, retry, hold, release, drop, silent, check, recover; requests and answers are frames of JSON.

What `backup` answers are the frames of one (rescue/backup.py).
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from appliance import lease, message_id, netstring
from appliance.door import Guard
from appliance.queue.door import Visitor
from appliance.queue.intake import Intake
from appliance.queue.look import PAGE, listed, shown
from appliance.queue.postmaster import Postmaster
from appliance.queue.present import Present
from appliance.queue.rescue.upkeep import Upkeep
from appliance.queue.retry import retry_all
from appliance.queue.service import Service
from appliance.queue.store import Store
from appliance.queue.worker import WorkerDoor

WAITING = 16  # requests that wait for their turn; no more are read then
REST = 2.0  # seconds of pause in a list for each second that a page of it took


class Admin(Visitor):
    """Somebody who asks how the queue is."""

    def __init__(self, guard: Guard, present: Present, service: Service, store: Store, upkeep: Upkeep) -> None:
        super().__init__(guard, present)
        self._service, self._store, self._upkeep = service, store, upkeep
        self._requests: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()

    def entered(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def frames(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._requests.put_nowait(frame)
        if self._requests.qsize() > WAITING:
            self.wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writable.clear()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._writable.set()
        self._requests.put_nowait(None)

    async def _serve(self) -> None:
        while (frame := await self._requests.get()) is not None:
            if not self._requests.qsize():
                self.go_on()
            await self._writable.wait()
            try:
                request = json.loads(frame)
                verb = _VERBS[request["do"]]
            except (ValueError, KeyError, TypeError, RecursionError):
                self._answer({"error": f"do: one of {', '.join(_VERBS)} expected"})
            else:
                try:
                    await verb(self, request)
                except (OSError, ValueError) as error:
                    self._answer({"error": str(error)})
            self.write(netstring.encode(b""))

    def _answer(self, item: dict[str, Any]) -> None:
        self.write(_encoded(item))

    async def _read(self, ask: Callable[[], Any]) -> Any:
        """A question to the store, in turn with the commits."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def tell(result: Any, error: Exception | None) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._service.writer.read(ask, tell)
        return await future

    async def _ping(self, _request: dict[str, Any]) -> None:
        service = self._service
        service.refresh()
        local, remote = (len(channel.workers) for channel in service.channels)
        smtpd = sum(1 for v in self._present if isinstance(v, Intake) and v.role == "smtpd" and not v.streaming)
        workers = {"smtpd": smtpd, "local": local, "remote": remote}
        wrong = {"short": service.room.why, "trouble": service.writer.trouble}
        found = {"messages": service.count, "workers": workers, "configuration": service.generation.name}
        self._answer(found | {name: why for name, why in wrong.items() if why})

    async def _list(self, _request: dict[str, Any]) -> None:
        after, clock = 0, asyncio.get_running_loop().time
        while True:
            page = await self._read(lambda: self._store.listing(after, PAGE))  # noqa: B023  # awaited before it changes
            began, now, public = clock(), self._service.clock(), self._service.routes.public
            self.write(b"".join([_encoded(listed(item, now, public)) for item in page]))
            if len(page) < PAGE or self.transport.is_closing():
                return
            after = page[-1].message.id
            await self._writable.wait()
            await asyncio.sleep(REST * (clock() - began))  # mail goes first

    async def _silent(self, request: dict[str, Any]) -> None:
        """The addresses that do not answer; or tell all workers to forget them."""
        doors = [visitor for visitor in self._present if isinstance(visitor, WorkerDoor) and visitor.worker]
        if request.get("forget"):
            for visitor in doors:
                if visitor.silences:
                    visitor.silences = []
                    visitor.write(lease.FORGET)
        latest: dict[str, lease.Silence] = {}
        for silence in (each for visitor in doors for each in visitor.silences):
            known = latest.get(silence.ip)
            if known is None or known.when < silence.when:
                latest[silence.ip] = silence
        for silence in latest.values():
            self._answer(silence._asdict())

    async def _retry(self, request: dict[str, Any]) -> None:
        if "id" in request:
            await self._by_hand(request)
        else:
            self._answer({"due": await retry_all(self._service, self._store)})

    async def _by_hand(self, request: dict[str, Any]) -> None:
        """Hold, release, retry or drop one message; nothing is answered if there is none."""
        number, postmaster = message_id.parse(str(request.get("id", ""))), self._service.postmaster
        if not await self._read(lambda: self._store.contains(number)):
            return
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def tell(count: int, error: Exception | None) -> None:
            if error is not None:
                future.set_exception(OSError(str(error)))
            else:
                future.set_result(count)

        _BY_HAND[request["do"]](postmaster, number, tell)
        self._answer({"message": message_id.text(number), "deliveries": await future})

    async def _backup(self, _request: dict[str, Any]) -> None:
        await self._upkeep.backup(self._read, self._send)

    async def _send(self, frame: bytes) -> None:
        self.write(netstring.encode(frame))
        await self._writable.wait()
        if self.transport.is_closing():
            raise OSError("nobody reads any more")

    async def _check(self, _request: dict[str, Any]) -> None:
        await self._upkeep.check(self._read, self._answer)

    async def _recover(self, _request: dict[str, Any]) -> None:
        await self._upkeep.recover(self._read, self._answer)

    async def _show(self, request: dict[str, Any]) -> None:
        number = message_id.parse(str(request.get("id", "")))
        found = await self._read(lambda: self._store.show(number))
        if found is not None:
            item, content, failures = found
            service = self._service
            content = content or service.bodies.header(number)
            self._answer(shown(item, content, failures, service.clock(), service.routes.public))


def _encoded(item: dict[str, Any]) -> bytes:
    return netstring.encode(json.dumps(item).encode())


_BY_HAND = {"hold": Postmaster.hold, "release": Postmaster.release, "retry": Postmaster.retry, "drop": Postmaster.drop}
_VERBS = {
    "ping": Admin._ping,  # noqa: SLF001  # a table of its own verbs
    "list": Admin._list,  # noqa: SLF001
    "show": Admin._show,  # noqa: SLF001
    "retry": Admin._retry,  # noqa: SLF001
    **dict.fromkeys(("hold", "release", "drop"), Admin._by_hand),  # noqa: SLF001
    "backup": Admin._backup,  # noqa: SLF001
    "check": Admin._check,  # noqa: SLF001
    "recover": Admin._recover,  # noqa: SLF001
    "silent": Admin._silent,  # noqa: SLF001
}
