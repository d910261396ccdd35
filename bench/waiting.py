"""A queue that is full before Paperpath starts: messages for one host, written by the queue's own store."""

import time
from collections.abc import Iterator
from pathlib import Path

from appliance.queue.sqlite import SqliteStore
from appliance.queue.store import REMOTE, Change, DeliveryRow, MessageRow, records

DESTINATION = b"dead.example"
BODY = 1024  # bytes of each message
SPREAD = 3600.0  # seconds over which they had come in
_COMMIT = 20_000  # messages


def fill(database: Path, count: int, due: float) -> None:
    """Put `count` messages into a new database, all due at `due` (seconds since 1970). Raises OSError."""
    database.parent.mkdir(parents=True)
    store = SqliteStore(database)
    try:
        for change in _changes(count, due, time.time() - SPREAD):
            store.commit([change])
            store.tidy(idle=False)
        store.tidy(idle=True)
    finally:
        store.close()


def _changes(count: int, due: float, began: float) -> Iterator[Change]:
    content = b"Received: from client\nSubject: it waits\n\n".ljust(BODY - 1, b"x") + b"\n"
    first, step = int(began * 1e6), max(2, int(SPREAD * 1e6) // max(1, count))
    for start in range(0, count, _COMMIT):
        numbers = [first + step * n for n in range(start, min(count, start + _COMMIT))]
        messages = [MessageRow(number, b"sender@client.example", BODY, 1, content) for number in numbers]
        deliveries = [
            DeliveryRow(
                number + 1, number, REMOTE, DESTINATION, due, 3, records([b"user%d@%b" % (n, DESTINATION)]),
                b"No connection to 127.0.0.1: Connection refused. (#4.4.1)\n",
            )
            for n, number in enumerate(numbers, start)
        ]  # fmt: skip
        yield Change(messages, deliveries, last=numbers[-1] + 1)
