"""How much new mail there is room for: on the disk, in its table of inodes, and by the limit of the queue's bytes.

Measured once a second or so, never for a message.  What the disk keeps free is for the mail that is queued (to remove
it, too, the database writes first), for bounces and for mailboxes; forwards of what is being delivered may use half of it.
Programs of this machine are put off before the network is: a mailbox's program that fills the queue keeps out nobody else.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance import log
from appliance.control import Generation

FREE = 128 * 1024 * 1024  # bytes of the disk that new mail leaves free,
SIZE = 20 * 1024 * 1024 * 1024  # and of the queue at most, if control does not say
INODES = 1000  # that it leaves free
SMALL = 8  # of a small disk, or queue, an eighth is enough
MUCH = 4 * 1024 * 1024 * 1024  # more than any message has: nobody needs to know of more
LOOK = 1.0  # seconds between two looks
OFTEN = 0.25  # the same, when there is not MUCH room
PRECISE = 2.0  # seconds between two questions to the store

Tell = Callable[[bytes], None]


class Room:
    """What may come now.

    folder  the queue's, with the database
    bodies  bytes of all body files
    read    asks the store, on its thread; size: that question
    """

    def __init__(self, folder: Path, bodies: Callable[[], int], size: Callable[[], int]) -> None:
        self.left = MUCH  # bytes; 0: no new mail
        self.none = False  # not even forwards
        self.why = ""
        self._margin = 0  # bytes that programs of this machine leave to the network
        self._folder, self._bodies, self._size = folder, bodies, size
        self._free, self._most = FREE, SIZE
        self._looked = self._asked = 0.0
        self._database: int | None = None  # bytes in use, as the store said
        self._listeners: list[Tell] = []
        self._said = False  # in the log, that there is none

    @property
    def short(self) -> bool:
        """Nothing new may come."""
        return self.left <= 0

    def attention(self, idle: float) -> float:
        """Seconds until the next look while nothing happens."""
        return idle if self.left >= MUCH else LOOK

    def take(self, size: int) -> None:
        """So many bytes of a large message have been written since the last look."""
        self.left -= size

    @property
    def scarce(self) -> bool:
        """Nothing new may come from programs of this machine."""
        return self.left <= self._margin

    def configure(self, generation: Generation) -> None:
        """Follow a generation."""
        self._free = generation.integer("freedisk", FREE)
        self._most = generation.integer("queuesize", SIZE)
        self._margin = min(self._free, self._most // SMALL)
        self._looked = 0.0

    def tell(self, listener: Tell) -> None:
        """Somebody wants to hear of every change, and how it is now."""
        self._listeners.append(listener)
        listener(b"S%d" % self.left)

    def forget(self, listener: Tell) -> None:
        """They have gone."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def look(
        self, now: float, read: Callable[[Callable[[], Any], Callable[[Any, Exception | None], None]], None]
    ) -> None:
        """Measure, if it is time to."""
        if abs(now - self._looked) < (LOOK if self.left >= MUCH else OFTEN):
            return
        self._looked = now
        try:
            on_disk, forwards, why = self._on_disk()
            files = sum(os.stat(entry).st_size for entry in os.scandir(self._folder) if "sqlite" in entry.name)
        except OSError:  # the next commit says more
            return
        bodies = self._bodies()
        used = bodies + files
        if used >= self._most:  # a file does not shrink when mail leaves it: what of it is in use?
            if abs(now - self._asked) >= PRECISE:
                self._asked = now
                read(self._size, self._measured)
            used = bodies + self._database if self._database is not None else self._most - self.left
        if self._most - used < on_disk:
            on_disk, why = self._most - used, f"the queue has its {self._most} bytes (queue.size)"
        self.none = forwards <= 0
        self._settle(max(0, min(on_disk, MUCH)), why)

    def _on_disk(self) -> tuple[int, int, str]:
        """Bytes for new mail, bytes for forwards, and what there is least of."""
        disk = os.statvfs(self._folder)
        size, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        keep = min(self._free, size // SMALL)
        self._margin = min(keep, self._most // SMALL)  # a small disk never has what a large one keeps
        inodes = disk.f_files  # 0: this file system has no table of them
        if inodes and disk.f_favail < min(INODES, inodes // SMALL):
            return 0, int(disk.f_favail > min(INODES, inodes // SMALL) // 2), f"{disk.f_favail} inodes are free"
        return free - keep, free - keep // 2, f"{free} bytes of the disk are free (queue.free_disk: {self._free})"

    def _measured(self, size: Any, error: Exception | None) -> None:
        self._database = size if error is None else self._database

    def _settle(self, left: int, why: str) -> None:
        if self._said and left <= self._margin:  # with some room, or it would come and go with each message
            left = 0
        if (left <= 0) != self._said:
            self._said = left <= 0
            said = f"new mail is answered 452: {why}" if left <= 0 else "there is room again, new mail is taken"
            log.warning(f"queue: {said}")
        self.why = why if left <= 0 else ""
        if left != self.left:
            self.left = left
            for listener in self._listeners:
                listener(b"S%d" % left)
