"""Body files: contents too large for a row, written as they come, synced before the row commits."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from appliance import log, safeio
from appliance.message import qsbmf
from appliance.threads import Threads


class Arriving:
    """A body file that is being written; its descriptor is open from the first write to the last."""

    def __init__(self, message: int) -> None:
        self.message = message
        self.fd = -1

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Bodies:
    """The folder of body files; each is named by its message's id, in decimal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool = Threads(4)
        self.lost: set[int] = set()  # messages whose file is missing or of another length
        self._bytes = 0
        self._counting = Lock()

    def used(self) -> int:
        """Bytes of all files together."""
        return self._bytes

    def _count(self, size: int) -> None:
        with self._counting:  # the pool's threads write and remove
            self._bytes += size

    def path(self, message: int) -> Path:
        return self.folder / str(message)

    def write(self, file: "Arriving", data: bytes, *, ended: bool) -> None:
        """Write what has come; at the end make the file and its name durable (guarantee 1). Raises OSError.

        One call does all there is to do, for each costs two switches between threads.
        """
        if file.fd < 0:
            file.fd = os.open(self.path(file.message), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._count(len(data))
        safeio.write_all(file.fd, data)
        if ended:
            os.fsync(file.fd)
            file.close()
            safeio.sync_directory(self.folder)

    def rename(self, file: "Arriving", head: bytes, message: int) -> None:
        """A message whose envelope came last gets its id now, and a first line with it; durable then. Raises OSError."""
        if os.pread(file.fd, len(head) + 1, 0).find(b"\n") != len(head) - 1:
            raise OSError("a first line of another length")
        os.pwrite(file.fd, head, 0)
        os.fsync(file.fd)
        file.close()
        os.rename(self.path(file.message), self.path(message))
        file.message = message
        safeio.sync_directory(self.folder)

    def open(self, message: int) -> int:
        """Read-only, at its start. Raises OSError."""
        return os.open(self.path(message), os.O_RDONLY)

    def checked(self, message: int, size: int) -> int:
        """As open. Raises OSError if it is not as long as it was, too: then it is put aside, and its message bounces."""
        try:
            fd = self.open(message)
        except FileNotFoundError:
            self.lost.add(message)
            raise
        found = os.fstat(fd).st_size
        if found == size:
            return fd
        os.close(fd)
        self.lost.add(message)
        self._keep(message)
        raise OSError(f"{self.kept(message)} has {found} bytes, {size} were accepted: its message bounces")

    def header(self, message: int) -> bytes:
        """The header of the content; what could not be read is left out, for the bounce matters more."""
        try:
            fd = os.open(self.kept(message), os.O_RDONLY) if message in self.lost else self.open(message)
            try:
                return qsbmf.header(os.pread(fd, qsbmf.HEADER, 0))
            finally:
                os.close(fd)
        except OSError as error:
            log.trouble("queue: a body file can't be read, the bounce goes without it", error)
            return b""

    def remove(self, message: int) -> None:
        """In the background, for a large file takes its time; at start orphans are removed anyway."""
        with suppress(RuntimeError):  # the queue is stopping: the next start removes it
            removing = self.pool.submit(self._unlink, message)
            if removing.done() and removing.exception() is not None:  # no thread: then everybody waits for it
                self._unlink(message)

    def _unlink(self, message: int) -> None:
        with suppress(OSError):
            size = self.path(message).stat().st_size
            self.path(message).unlink()
            self._count(-size)
        self.lost.discard(message)

    def kept(self, message: int) -> Path:
        """Where a damaged file lies, for whoever wants to look at it."""
        return self.folder.parent / "damaged-bodies" / "body" / str(message)

    def _keep(self, message: int) -> None:
        kept = self.kept(message)
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (kept.parent.parent / "report").write_text(
            "Body files of another length than was accepted: those messages have bounced.\n"
        )
        self._count(-self.path(message).stat().st_size)
        self.path(message).rename(kept)
        safeio.sync_directory(kept.parent)

    def add(self, there: Path, message: int) -> None:
        """A file from elsewhere becomes this message's, under a second name; durable then. Raises OSError."""
        here = self.path(message)
        if here.exists() or not there.exists():
            return  # a file that is missing is found when it is wanted
        try:
            os.link(there, here)
        except OSError:
            shutil.copyfile(there, here)
            with here.open("rb") as copy:
                os.fsync(copy.fileno())
        self._count(here.stat().st_size)
        safeio.sync_directory(self.folder)

    def remove_orphans(self, contains: Callable[[int], bool], aside: Path | None = None) -> int:
        """Remove files that no message owns: a crash came before their commit. Raises OSError.

        aside  a folder: put them there, for their message may have been lost
        """
        count = 0
        for entry in os.scandir(self.folder):
            if not entry.name.isdigit() or not contains(int(entry.name)):
                if aside is None:
                    os.unlink(entry.path)
                else:
                    os.rename(entry.path, aside / entry.name)
                count += 1
            else:
                self._count(entry.stat().st_size)
        return count

    def close(self) -> None:
        """Wait for what is being written or removed."""
        self.pool.shutdown()
