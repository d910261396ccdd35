"""Where a kill may leave a message twice, and why; nowhere else may it."""

from fnmatch import fnmatch
from typing import NamedTuple

from crash_letters import Item
from crash_watch import Point


class Reason(NamedTuple):
    """A stretch of a program's calls, from the one that makes something so to the one that tells it.

    programs  who is killed
    calls     before which of its calls, `call on`; `on` may hold `*`
    why       what has happened and was not told
    pieces    a part of the message may be left as well
    """

    programs: tuple[str, ...]
    calls: tuple[str, ...]
    why: str
    pieces: bool = False


REASONS = (
    Reason(
        ("queue",),
        ("write intake.sock", "write lease.sock", "sendmsg lease.sock", "write the log"),
        "the message is committed, and whoever handed it over was not told: he does it again (RFC 1047)",
    ),
    Reason(
        ("smtpd", "qmtpd"),
        ("write the network", "write the log"),
        "the queue has the message, and the client was not told: it sends it again (RFC 1047)",
    ),
    Reason(
        ("local",),
        ("rename ", "syncfs mail", "fsync *", "write the log", "sendto a door", "sendmsg a door", "write a pipe"),
        "a mailbox has the message, a program has ended or a forward is queued, and the queue was not told",
    ),
    Reason(
        ("local",),
        ("write mail/*/Mailbox", "fsync mail", "fsync mail/*"),
        "an mbox has the message or a part of it, and the queue was not told; no program can append in one step",
        pieces=True,
    ),
    Reason(
        ("remote",),
        ("write the log", "write a door", "write the network"),
        "the next host has the message, and the queue was not told (RFC 1047)",
    ),
    Reason(
        ("launcher's child",),
        ("kill ", "sendto launch.sock"),
        "the mailbox's program has ended well, and `local` was not told",
    ),
)


def reason(point: Point, item: Item) -> Reason | None:
    """Why this may be there once more after a kill at this point; None if it may not."""
    for row in REASONS:
        here = point.program in row.programs and any(fnmatch(f"{point.call} {point.on}", call) for call in row.calls)
        if here and (row.pieces or not item.what.startswith("piece")):
            return row
    return None
