"""Everything that waits is tried now: what SIGALRM does to qmail-send."""

import asyncio
from typing import TYPE_CHECKING

from appliance.queue.store import Brought, Store

if TYPE_CHECKING:
    from appliance.queue.service import Service

SOME = 2000  # deliveries looked at together
REST = 2.0  # seconds of pause for each second that they took: other mail goes on


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
