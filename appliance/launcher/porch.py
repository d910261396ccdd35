"""Where connections wait until they have shown that they are `local`'s; only then is there a process for them.

Any program of our user can connect to a Unix socket, those of mailboxes too, and each minder is one of a few.  What a
stranger says is not read: the hello is one of known bytes, and is looked at where it lies (recv(2), MSG_PEEK).
"""

import contextlib
import hmac
import socket
import time
from collections.abc import Collection, Iterator

from appliance import log
from appliance.door import Guard

WITHIN = 10.0  # seconds for the hello
MOST = 64  # that wait; the oldest makes room


class Porch:
    """The launch door and those in front of it."""

    def __init__(self, door: socket.socket, guard: Guard) -> None:
        self._door = door
        self._hellos = guard.hellos()
        self._waiting: dict[socket.socket, float] = {}  # and until when

    def watched(self) -> list[socket.socket]:
        """What may have something for us."""
        return [self._door, *self._waiting]

    @property
    def patience(self) -> float | None:
        """Seconds until somebody has waited long enough."""
        return WITHIN if self._waiting else None

    def known(self, ready: Collection[object]) -> Iterator[socket.socket]:
        """Those that are `local`'s; the caller closes them."""
        if self._door in ready:
            connection, _ = self._door.accept()
            self._waiting[connection] = time.monotonic() + WITHIN
            if len(self._waiting) > MOST:
                self._refuse(next(iter(self._waiting)), "too many connections without a hello")
        for connection in [each for each in self._waiting if each in ready]:
            if self._shows_token(connection):
                del self._waiting[connection]
                yield connection
            else:
                self._refuse(connection, "wrong role token")
        now = time.monotonic()
        for connection in [each for each, until in self._waiting.items() if until < now]:
            self._refuse(connection, "no hello")

    def _shows_token(self, connection: socket.socket) -> bool:
        for hello in self._hellos:
            with contextlib.suppress(OSError):
                said = connection.recv(len(hello), socket.MSG_PEEK | socket.MSG_DONTWAIT)
                if hmac.compare_digest(said, hello):
                    return True
        return False

    def _refuse(self, connection: socket.socket, why: str) -> None:
        del self._waiting[connection]
        connection.close()
        log.warning(f"launcher: launch door: a stranger: connection closed: {why}")

    def close(self) -> None:
        """In a minder: nobody is its guest but one."""
        for connection in self.watched():
            connection.close()
