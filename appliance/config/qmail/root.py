"""The files of another machine, below the folder that holds its copy: nothing outside is ever read.

Links are followed as that machine would, an absolute one from the copy's root.  What is no plain file, or too
large to be what it should be, is passed over and told.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_LINKS = 40  # on the way to one file, as the kernel
_NAMES = 100_000  # dot-qmail files of one home


class Root:
    """A folder that was `/` somewhere else.

    notes: what was passed over, a sentence each
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.fsencode(folder.resolve())
        self.notes: list[str] = []

    def resolve(self, path: bytes) -> bytes | None:
        """Where a path of that machine lies here; None for a circle of links, or if it can't be looked at."""
        ahead = path.split(b"/")[::-1]
        here: list[bytes] = []
        links = 0
        while ahead:
            name = ahead.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                here = here[:-1]
                continue
            place = b"/".join((self._folder, *here, name))
            try:
                target = os.readlink(place)
            except (OSError, ValueError):  # it is no link, or is not there: who opens it will see
                here.append(name)
                continue
            links += 1
            if links > _LINKS:
                return None
            if target[:1] == b"/":
                here = []
            ahead += target.split(b"/")[::-1]
        return b"/".join((self._folder, *here))

    def read(self, path: bytes, limit: int) -> tuple[bytes, int] | None:
        """A file and its mode; None if there is none, or none that can be used."""
        place = self.resolve(path)
        if place is None:
            self._passed(path, "its links go round")
            return None
        try:
            # not blocking: somebody may have put a FIFO there
            fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self._passed(path, str(getattr(error, "strerror", None) or error))
            return None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                self._passed(path, "it is no plain file")
            elif status.st_size > limit:
                self._passed(path, f"it has {status.st_size} bytes, which is too much for what it should be")
            else:
                with open(fd, "rb", closefd=False) as file:
                    return file.read(limit), status.st_mode
            return None
        finally:
            os.close(fd)

    def owner(self, path: bytes) -> int | None:
        """The uid that a folder belongs to; None if there is none."""
        place = self.resolve(path)
        try:
            status = os.stat(place, follow_symlinks=False) if place else None
        except (OSError, ValueError):
            return None
        return status.st_uid if status and stat.S_ISDIR(status.st_mode) else None

    def names(self, folder: bytes, prefix: bytes = b"") -> list[bytes]:
        """The names in a folder that begin so, sorted; none if it can't be read."""
        place = self.resolve(folder)
        try:
            found = list(self._first(place, prefix)) if place else []
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError) as error:
            self._passed(folder, str(getattr(error, "strerror", None) or error))
            return []
        if len(found) == _NAMES:
            self._passed(folder, f"only the first {_NAMES} names were read")
        return sorted(found)

    def _first(self, place: bytes, prefix: bytes) -> Iterator[bytes]:
        count = 0
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(prefix):
                    count += 1
                    yield entry.name
                if count == _NAMES:
                    return

    def _passed(self, path: bytes, why: str) -> None:
        self.notes.append(f"{show(path)}: not read: {why}")


def show(data: bytes) -> str:
    """Bytes for people."""
    return data.decode("utf-8", "backslashreplace")
