"""What a running queue does for `paperpath queue backup|check|recover`, a few messages at a time: mail goes first."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from appliance import message_id
from appliance.queue.astray import Astray, in_words
from appliance.queue.body import Bodies
from appliance.queue.durable import DurableStore
from appliance.queue.rescue import backup, checkup
from appliance.queue.rescue.aside import folders
from appliance.queue.rescue.recovery import Recovery
from appliance.threads import in_thread

REST = 1.0  # seconds of pause for each second of work

Found = TypeVar("Found")
Ask = Callable[[Callable[[], Any]], Awaitable[Any]]  # a question to the store, in turn with the commits
Send = Callable[[bytes], Awaitable[None]]  # a frame to whoever asked, when there is room for it


class Upkeep:
    """The queue's side of it."""

    def __init__(self, queue: Path, store: DurableStore, bodies: Bodies, recovery: Recovery, astray: Astray) -> None:
        self._queue, self._store, self._bodies = queue, store, bodies
        self._recovery, self._astray = recovery, astray

    async def backup(self, ask: Ask, send: Send) -> None:
        """All messages, one after the other. Raises OSError."""
        if self._recovery.folder is not None:
            raise OSError(f"{self._recovery.folder} is being recovered; back up when that is done")
        store, bodies, after, count = self._store, self._bodies, 0, 0
        first: int = await ask(store.last)
        while True:
            began = time.monotonic()
            page: list[backup.Read] = await ask(lambda: backup.page(store, bodies, after))  # noqa: B023  # awaited before it changes
            try:
                for read in page:
                    await send(backup.frame_of(read))
                    await self._body(read.fd, send)
            finally:
                for read in page:
                    if read.fd is not None and read.fd >= 0:
                        os.close(read.fd)
            if not page:
                break
            count, after = count + len(page), page[-1].item.message.id
            if after < first:  # what has come since is read without rest, or there would be no end
                await asyncio.sleep(REST * (time.monotonic() - began))
        await send(backup.end_of(count, await ask(store.last)))

    async def _body(self, fd: int | None, send: Send) -> None:
        while fd is not None and fd >= 0 and (piece := await in_thread(os.read, fd, backup.PIECE)):
            await send(b"B" + piece)

    async def check(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> None:
        """What is wrong, a sentence an item, and at the end how many messages there are. Raises OSError."""
        store, bodies, after, count = self._store, self._bodies, 0, 0
        for text in checkup.set_aside(self._queue):
            tell({"problem": text})
        if gaps := await ask(store.unreadable):
            tell({"problem": f"{gaps} records of the journal can't be read; `paperpath queue list` writes it anew"})
        while True:
            began = time.monotonic()
            found, after, problems = await ask(lambda: checkup.messages(store, bodies, after))  # noqa: B023  # as above
            for text in problems:
                tell({"problem": text})
            if not found:
                break
            count += found
            await asyncio.sleep(REST * (time.monotonic() - began))
        async for problems in self._pages(ask, lambda after: checkup.deliveries(store, after)):
            for text in problems:
                tell({"problem": text})
        tell({"messages": count})

    async def recover(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> None:
        """Look again at what has been set aside, and end what is astray. Raises OSError."""
        store, astray = self._store, self._astray
        self._recovery.look()
        for folder in folders(self._queue):
            tell({"folder": folder.name, "recovered": (folder / "report").exists()})
        async for ended in self._pages(ask, lambda after: checkup.ended(store, after)):
            for each in ended:
                if how := astray.end(each):
                    tell({"message": message_id.text(each.message.id), "ends": how})
        async for rows in self._pages(ask, lambda after: store.astray(after, checkup.ROWS)):
            for row in rows:
                astray.found(row)
                tell({"delivery": in_words(row), "ends": "the postmaster is told"})

    async def _pages(self, ask: Ask, look: Callable[[int], tuple[int, list[Found]]]) -> AsyncIterator[list[Found]]:
        """What is found after each last id, to the end; with rests."""
        after, more = 0, True
        while more:
            began = time.monotonic()
            after, found = await ask(lambda: look(after))  # noqa: B023  # awaited before it changes
            yield found
            more = after > 0
            await asyncio.sleep(REST * (time.monotonic() - began))
