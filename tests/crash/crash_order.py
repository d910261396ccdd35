"""In which order things are made durable and told: what a kill alone can't show, for it takes nothing from the disk's cache.

A scene's calls without a kill must come in these orders.
"""

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import NamedTuple

from crash_watch import Point


class Order(NamedTuple):
    """Calls, `call on`, each of which comes first after the one before it; `*` stands for anything."""

    scene: str
    program: str
    calls: tuple[str, ...]


_BODY = ("write queue/body/*", "fsync queue/body/*", "fsync queue/body")
_COMMIT = ("pwritev2 queue/journal", "write intake.sock")
_MAILDIR = ("*sync* ?ai*", "rename *", "*sync* ?ai*")  # all of mail/, or one file and one folder
_SECRETS = ("fsync secrets/*/passwords.cdb", "fsync secrets/*", "rename *", "fsync secrets")
_ACTIVATED = ("fsync generations/*", "rename *", "fsync generations", "symlink *", "rename *", "fsync generations")
ORDERS = (
    Order("by SMTP", "queue", _COMMIT),
    Order("by SMTP", "local", ("write* Maildir/tmp", *_MAILDIR)),
    Order("large", "queue", (*_BODY, *_COMMIT)),
    Order("large", "local", ("sendfile Maildir/tmp", *_MAILDIR)),
    Order("into an mbox", "local", ("write mail/*/Mailbox", "fsync mail/*/Mailbox", "write a pipe")),
    Order("configuration", "config's child", (*_SECRETS, *_ACTIVATED)),
)


def broken(scene: str, made: dict[str, list[Point]]) -> str:
    """Which order a scene's calls do not keep; empty if they keep all."""
    for order in ORDERS:
        if order.scene == scene:
            points = made[order.program.removesuffix("'s child")]
            wrong = _wrong(
                [f"{point.call} {point.on}" for point in points if point.program == order.program], order.calls
            )
            if wrong:
                return f"{order.program}: {wrong}"
    return ""


def _wrong(made: Sequence[str], wanted: Sequence[str]) -> str:
    at = -1
    for number, pattern in enumerate(wanted):
        found = [index for index, call in enumerate(made) if fnmatch(call, pattern)]
        if pattern not in wanted[:number] and found and found[0] < at:
            return f"`{pattern}` comes before `{wanted[number - 1]}`"
        at = next((index for index in found if index > at), -1)
        if at < 0:
            return f"there is no `{pattern}` after `{wanted[number - 1]}`"
    return ""
