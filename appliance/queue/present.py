"""Who is at the doors, how many may be, and how much of what they have begun to say may wait for its end.

A role is a program, or all commands together: what one of them does too much of is its own loss, never another's.
"""

from collections import Counter
from typing import TYPE_CHECKING

from appliance.door import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.queue.door import Visitor

STRANGERS = 512  # connections without a token yet, as many as the kernel lets wait; the oldest makes room
MOST = {"smtpd": 600, "qmtpd": 300, "inject": 300, "local": 300, "remote": 300, "admin": 32}  # connections of a role
UNFINISHED = 64 * 1024 * 1024  # bytes of frames of a role that are not complete
FREE = 64 * 1024  # of one connection that are not counted
DESCRIPTORS = 4096  # that all this needs, with a body file for each large message


class Present:
    """The connections at all doors."""

    def __init__(self) -> None:
        self._strangers: dict[Visitor, None] = {}  # in the order they came
        self._entered: dict[str, dict[Visitor, None]] = {role: {} for role in ROLES}
        self._unfinished: Counter[str] = Counter()

    def __iter__(self) -> "Iterator[Visitor]":
        """Those whose token was right."""
        return (visitor for visitors in list(self._entered.values()) for visitor in list(visitors))

    def everybody(self) -> "list[Visitor]":
        """Strangers, too."""
        return [*self._strangers, *self]

    def knocks(self, visitor: "Visitor") -> "Visitor | None":
        """A new connection; who has to go for it, if there are too many."""
        self._strangers[visitor] = None
        return next(iter(self._strangers)) if len(self._strangers) > STRANGERS else None

    def enters(self, visitor: "Visitor") -> None:
        """Its token was right. Raises ValueError if too many of its role are there."""
        del self._strangers[visitor]
        own = self._entered[visitor.role]
        own[visitor] = None
        if len(own) > MOST[visitor.role]:
            raise ValueError(f"more than {MOST[visitor.role]} connections")

    def keeps(self, visitor: "Visitor", bytes_: int) -> "Visitor | None":
        """A connection has so many bytes of an unfinished frame now; who has to go, if its role has too many."""
        role = visitor.role
        self._unfinished[role] += max(0, bytes_ - FREE) - max(0, visitor.kept - FREE)
        visitor.kept = bytes_
        if self._unfinished[role] <= UNFINISHED:
            return None
        return max(self._entered[role], key=lambda each: each.kept)

    def leaves(self, visitor: "Visitor") -> None:
        """A connection has ended."""
        self._strangers.pop(visitor, None)
        if visitor.role:
            self.keeps(visitor, 0)
            self._entered[visitor.role].pop(visitor, None)
