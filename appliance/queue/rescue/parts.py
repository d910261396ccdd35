"""Messages of a damaged queue that can be read in part: what is done about each, so that nobody waits in silence.

recipients and a body file, no row of the message    delivered with the empty sender, which nobody knows any more
recipients only                                      listed in the file `lost`, which the postmaster is told of
a message some recipients of which are lost          the others get it, the postmaster gets it with its content
a message whose body file is lost or cut short       bounced to its sender by the queue, when it is due
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from appliance import message_id
from appliance.queue.rescue.salvage import Found
from appliance.queue.schedule import timestamp
from appliance.queue.store import recipients

_ORPHANS = "SELECT message, max(id) FROM delivery WHERE message NOT IN (SELECT id FROM message) GROUP BY message ORDER BY message"
_SHORT = (
    "SELECT m.id, m.deliveries FROM message m "
    "WHERE m.deliveries > (SELECT count(*) FROM delivery d WHERE d.id > m.id AND d.id <= m.id + m.deliveries) ORDER BY m.id"
)
_DELIVERIES = "SELECT id, recipients FROM delivery WHERE message=? ORDER BY id"


def adopt(connection: apsw.Connection, folder: Path) -> tuple[int, int]:
    """Give deliveries whose message is lost their content back, or write down whom it was for: how many of each."""
    adopted = lost = 0
    with (folder / "lost").open("w") as out:
        orphans: list[Any] = connection.execute(_ORPHANS).fetchall()
        for message, last in orphans:
            body = folder / "body" / str(message)
            if body.exists():
                row = (message, b"", body.stat().st_size, last - message, None)
                connection.execute("INSERT INTO message VALUES (?,?,?,?,?)", row)
                adopted += 1
            else:
                out.write(f"{_name(message)} to {_addresses(connection, message)}\n")
                lost += 1
    return adopted, lost


def short(connection: apsw.Connection, folder: Path, found: Found) -> int:
    """Write down the messages some of whose recipients are lost, `id` and how many deliveries of them a line; how many."""
    count = 0
    with (folder / "parts").open("w") as out:
        rows: Iterator[tuple[int, int]] = connection.execute(_SHORT)
        for message, deliveries in rows:
            there = {row[0] for row in connection.execute(_DELIVERIES, (message,))}
            gone = [number for number in range(message + 1, message + 1 + deliveries) if number not in there]
            lost = [number for number in gone if found.covers("delivery", number)]
            if lost or not there:  # the others are done
                out.write(f"{message} {len(lost or gone)}\n")
                count += 1
    return count


def listed(folder: Path, after: int) -> Iterator[tuple[int, int]]:
    """What `short` wrote down, from the message after that on."""
    with (folder / "parts").open() as file:
        for line in file:
            message, count = map(int, line.split())
            if message > after:
                yield message, count


def _name(message: int) -> str:
    return f"{message_id.text(message)} of {timestamp(message_id.born(message))}"


def _addresses(connection: apsw.Connection, message: int) -> str:
    rows: list[tuple[int, bytes]] = list(connection.execute(_DELIVERIES, (message,)))
    return ", ".join(addresses(data) for _, data in rows)


def addresses(data: bytes) -> str:
    """Those of a delivery that have not got it, for people."""
    return ", ".join(address.decode("utf-8", "backslashreplace") for address in recipients(data)[0])
