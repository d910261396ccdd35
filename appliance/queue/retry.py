"""Everything that waits is tried now: what SIGALRM does to qmail-send, and what has it done without one."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import log
from appliance.queue.schedule import longest
from appliance.queue.store import NEVER, Brought, Store

if TYPE_CHECKING:
    from appliance.queue.service import Service

SOME = 2000  # deliveries looked at together
REST = 2.0  # seconds of pause for each second that they took: other mail goes on
LOOK = 2.0  # seconds between looks for an occasion
SELDOM = 300.0  # seconds between two tries because there is room again: there may soon be none
FULL = 1024 * 1024  # bytes free on the mailboxes' disk, below which mail is said to wait for it


async def retry_all(service: "Service", store: Store) -> int:
    """How many deliveries are due now that would have been later; each is brought forward once. Raises Unavailable."""
    loop = asyncio.get_running_loop()
    due, after, moved = service.clock(), 0, 0
    while True:
        began = loop.time()
        future: asyncio.Future[Brought] = loop.create_future()

        def tell(found: Brought, error: Exception | None, future: "asyncio.Future[Brought]" = future) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(found)

        service.writer.read(lambda: store.bring_forward(after, due, SOME), tell)  # noqa: B023  # awaited before it changes
        found = await future
        moved += found.moved
        for feed in service.feeds:
            feed.expect(due)
            feed.wake()
        if not found.end:
            return moved
        after = found.end
        await asyncio.sleep(REST * (loop.time() - began))


def waits_too_long(service: "Service", store: Store) -> bool:
    """Whether something on disk waits longer than the schedule lets anything wait. Raises Unavailable."""
    far = service.clock() + longest(service.lifetime)
    dues = [store.next_due(channel.number, far) for channel in service.channels]
    return any(due is not None and due < NEVER for due in dues)


class Occasions:
    """What has all mail tried at once: a signal, a clock that was set back, a disk that was full and has room again,
    mailboxes whose disk was full or read-only and can be written again.
    """

    def __init__(self, service: "Service", store: Store, mail: Path) -> None:
        self._service, self._store, self._mail = service, store, mail
        self._loop = asyncio.get_running_loop()
        self._trying: set[asyncio.Task[None]] = set()
        self._short = False
        self._mailboxes = ""  # what is wrong with their disk
        self._freed = -SELDOM

    def try_all(self) -> None:
        """Now, unless that is being done."""
        if not self._trying:
            task = self._loop.create_task(self._try())
            self._trying.add(task)
            task.add_done_callback(self._trying.discard)

    async def _try(self) -> None:
        try:
            await retry_all(self._service, self._store)
        except OSError as error:
            log.trouble("queue: not all mail could be made due", error)

    def look(self) -> None:
        """Now, and every LOOK seconds."""
        by, short = self._service.clock.set_by(), self._service.room.short
        if by > 0:
            log.warning(f"queue: the clock was set ahead by {by:.0f} s; for an hour nothing expires by it")
        elif by < 0:
            log.warning(f"queue: the clock was set back by {-by:.0f} s; all mail that waits is tried now")
            self.try_all()
        elif self._short and not short:
            self._try_with_room()  # mailboxes that were full with the disk have room, too
        self._short = short
        self._look_at_mailboxes()
        self._loop.call_later(LOOK, self.look)

    def _try_with_room(self) -> None:
        if self._loop.time() - self._freed > SELDOM:
            self._freed = self._loop.time()
            self.try_all()

    def _look_at_mailboxes(self) -> None:
        before, now = self._mailboxes, _wrong(self._mail, self._mailboxes)
        self._mailboxes = now
        if now and now != before:
            log.warning(f"queue: the disk of {self._mail} is {now}: mail for mailboxes waits")
        elif before and not now:
            log.warning(f"queue: the disk of {self._mail} can be written again: what waits for it is tried now")
            self._try_with_room() if before == "full" else self.try_all()


def _wrong(folder: Path, before: str) -> str:
    """Why nothing can be written to its disk, as `paperpath health` says it; nothing if nobody can tell."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return ""
    if disk.f_flag & os.ST_RDONLY:
        return "read-only"
    few = FULL * 2 if before else FULL  # or it would come and go with each message
    full = disk.f_bavail * disk.f_frsize < few or (disk.f_files and not disk.f_favail)
    return "full" if full else ""
