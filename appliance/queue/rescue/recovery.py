"""What was read of a damaged queue comes into the running one, by the commits that all mail takes.

Messages keep their ids, and with them their age.  A batch is committed, then marked in the folder, then let go: so a queue
that is stopped or killed in between takes up where it was, and nothing of it comes twice.  New mail goes first.
"""

import asyncio
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from appliance import log
from appliance.envelope import Envelope
from appliance.queue.rescue import letter, parts
from appliance.queue.rescue.aside import folders
from appliance.queue.rescue.books import LETTERS, Books
from appliance.queue.rescue.salvage import salvage
from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import NEVER, Change, Listed, Loaded, Store
from appliance.threads import in_thread

if TYPE_CHECKING:
    from appliance.queue.service import Service

SOME = 50  # messages committed together
REST = 1.0  # seconds of pause for each second of work: mail that comes meanwhile goes first
SLICE = 0.005  # seconds of reading pages, after which others may run
AGAIN = 60.0  # seconds after which it goes on, if the disk refused something
ROOM = 1.0  # seconds between looks for room

Page = list[tuple[Listed, Loaded]]


class Recovering:
    """A message on its way back; told to a future."""

    keep = False

    def __init__(self, change: Change) -> None:
        self.change: Change | None = change
        self.told: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def done(self, error: Exception | None) -> None:
        if not self.told.done():
            self.told.set_result(error)


class Recovery:
    """All that has been set aside and not been recovered yet, the oldest first.

    there  what `committed` found before anything could leave the queue
    """

    def __init__(self, queue: Path, service: "Service", store: Store, there: set[int]) -> None:
        self._queue, self._service, self._store, self._there = queue, service, store, there
        self._wake = asyncio.Event()
        self.folder: Path | None = None  # what is being recovered now

    def look(self) -> None:
        """There may be something to recover."""
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._wake.clear()
            try:
                for folder in pending(self._queue):
                    self.folder = folder
                    await self._recover(folder)
                self.folder = None
                await self._wake.wait()
            except (OSError, apsw.Error, ValueError) as error:
                log.trouble(f"queue: {self.folder or self._queue} can't be recovered now, it is tried again", error)
                with suppress(TimeoutError):  # or as soon as somebody asks for it
                    await asyncio.wait_for(self._wake.wait(), AGAIN)

    async def _recover(self, folder: Path) -> None:
        target = folder / "recovered.sqlite"
        books = await in_thread(Books, folder)
        if not books.known:
            log.warning(f"queue: what can be read in {folder} is read now")
            found = await in_thread(salvage, folder, target, _Rest())
            await in_thread(books.begin, found, target)
        source = await in_thread(SqliteStore, target)
        try:
            await self._feed(folder, source, books)
            await self._tell(folder, source, books)
        finally:
            await in_thread(source.close)
        text = await in_thread(books.report)
        await self._letter("Mail was damaged in the queue", text, b"")
        await in_thread(books.end, text)
        log.warning(f"queue: {folder} is recovered: {books.count} messages; its file `report` says what is lost")

    # -- messages -----------------------------------------------------------------------

    async def _feed(self, folder: Path, source: SqliteStore, books: Books) -> None:
        first = not books.renumber  # what was committed and not marked, when it broke off, is there already
        while page := await in_thread(_page, source, books.fed):
            while self._service.room.short:  # noqa: ASYNC110  # for as long as it takes
                await asyncio.sleep(ROOM)
            began, last = time.monotonic(), page[-1][0].message.id
            page = [each for each in page if each[0].deliveries and each[0].message.id not in self._there]
            if (first or books.again) and page:
                page, first = await self._missing(page), False
            page = await self._take(folder, page, renumber=books.renumber)
            await in_thread(books.mark, last, len(page))
            self._let_go(page)
            await asyncio.sleep(REST * (time.monotonic() - began))

    async def _missing(self, page: Page) -> Page:
        """Those that the queue has not got yet."""
        ids = [item.message.id for item, _ in page]
        found: asyncio.Future[list[Loaded]] = asyncio.get_running_loop().create_future()

        def tell(loaded: list[Loaded], error: Exception | None) -> None:
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(loaded)

        self._service.writer.read(lambda: self._store.load(ids), tell)
        there = {loaded.message.id for loaded in await found}
        return [each for each in page if each[0].message.id not in there]

    async def _take(self, folder: Path, page: Page, *, renumber: bool) -> Page:
        """Commit them; nothing of them begins before they are marked. Raises OSError."""
        names = [item.message.id for item, _ in page]
        if renumber:
            page = [self._renumbered(*each) for each in page]
        for name, (item, loaded) in zip(names, page, strict=True):
            if loaded.message.content is None:
                await in_thread(self._service.bodies.add, folder / "body" / str(name), item.message.id)
        items = [Recovering(_change(item, loaded)) for item, loaded in page]
        self._service.coming |= {item.message.id for item, _ in page}
        for each in items:
            self._service.submit(each)
        for error in [await each.told for each in items]:
            if error is not None:
                raise OSError(f"a message can't be taken back: {error}")
        return page

    def _renumbered(self, item: Listed, loaded: Loaded) -> tuple[Listed, Loaded]:
        """The same with new ids."""
        old = item.message.id
        number = self._service.new_id(item.message.deliveries)
        rows = [row._replace(id=row.id - old + number, message=number) for row in item.deliveries]
        notice = loaded.notice._replace(message=number) if loaded.notice else None
        return (
            item._replace(message=item.message._replace(id=number), deliveries=rows),
            loaded._replace(message=loaded.message._replace(id=number), notice=notice),
        )

    def _let_go(self, page: Page) -> None:
        service = self._service
        service.count += len(page)
        service.coming.clear()
        for item, loaded in page:
            for row in item.deliveries:
                if row.due != NEVER:
                    service.feeds[row.channel].expect(row.due, row.destination)
            if loaded.notice is not None and loaded.notice.due != NEVER:
                service.notices.expect(loaded.notice.due)
        service.settled()

    # -- what can be read in part only ----------------------------------------------------

    async def _tell(self, folder: Path, source: SqliteStore, books: Books) -> None:
        """The postmaster gets the messages some recipients of which can't be read, with their content."""
        for message, count in await in_thread(_first, folder, books.told):
            loaded = await in_thread(source.load, [message])
            content = loaded[0].message.content
            if content is None:
                content = await in_thread(letter.beginning, folder / "body" / str(message))
            text = letter.of_part(message, loaded[0].message.sender, count, folder)
            await self._letter("Recipients of a message were lost", text, content)
            await in_thread(books.mark_told, message)

    async def _letter(self, subject: str, text: str, content: bytes) -> None:
        """To the postmaster; durable then. Raises OSError."""
        service = self._service
        sender, recipient, whole = letter.compose(service.bounces, subject, text, content, service.clock())
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        service.accept("bounce", Envelope(sender, (recipient,)), whole, answer.set_result)
        said = await answer
        if said[:1] != b"K":
            raise OSError(said[1:].decode())


class _Rest:
    """Sleeps as long as it has worked: the thread that answers clients goes first."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> None:
        worked = time.monotonic() - self._began
        if worked > SLICE:
            time.sleep(REST * worked)
            self._began = time.monotonic()


def pending(queue: Path) -> list[Path]:
    """What has been set aside and not been recovered. Raises OSError."""
    return [folder for folder in folders(queue) if (folder / "reason").exists() and not (folder / "report").exists()]


def committed(queue: Path, store: Store) -> set[int]:
    """Messages that came back with a batch which was not marked when the last process ended. Raises OSError, apsw.Error."""
    found: set[int] = set()
    for folder in pending(queue):
        books = Books(folder)
        if books.known and not books.renumber:
            source = SqliteStore(folder / "recovered.sqlite")
            try:
                ids = [item.message.id for item in source.listing(books.fed, SOME)]
                found |= {loaded.message.id for loaded in store.load(ids)}
            finally:
                source.close()
    return found


def _page(source: SqliteStore, after: int) -> Page:
    items = source.listing(after, SOME)
    loaded = {found.message.id: found for found in source.load([item.message.id for item in items])}
    return [(item, loaded[item.message.id]) for item in items]


def _first(folder: Path, told: int) -> list[tuple[int, int]]:
    return [each for each in islice(parts.listed(folder, 0), LETTERS) if each[0] > told]


def _change(item: Listed, loaded: Loaded) -> Change:
    message = loaded.message
    change = Change((message,), item.deliveries, last=message.id + message.deliveries)
    change.failures = [(message.id, text) for text in loaded.failures]
    change.notices = [loaded.notice] if loaded.notice is not None else []
    return change
