"""Records what programs do to a folder's files: the calls of `os`, those of SQLite by a file system of its own, and syncfs.

The calls are carried out, too.  Reading is nobody's business.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import apsw
from power_disk import ROOT

from appliance.local import disk

_real = {name: getattr(os, name) for name in (
    "open", "write", "writev", "pwrite", "pwritev", "sendfile", "ftruncate", "fsync", "fdatasync",
    "rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir", "symlink",
)}  # fmt: skip
_DIRECTORY_TOO = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


def _same(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class Recording:
    """The events of one folder; what is in it at the start is synced."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self.events: list[tuple[Any, ...]] = []
        self._known: dict[tuple[int, int], int] = {_same(os.stat(self.root)): ROOT}
        self._lock = RLock()
        self._count = ROOT
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                self._found(os.path.join(folder, name))
        self._say("sync_all")
        self.first = len(self.events)  # of what programs do

    def mark(self, *what: object) -> None:
        """Somebody was told something, or asks for it."""
        self._say("mark", *what)

    def _say(self, *event: Any) -> None:
        with self._lock:
            self.events.append(event)

    def _found(self, path: str) -> None:
        if os.path.islink(path):
            self._say("move", self._new(path, "link", os.readlink(path)), None)
        elif os.path.isdir(path):
            self._say("move", self._new(path, "folder"), None)
        else:
            entry = self._new(path, "file")
            self._say("move", entry, None)
            self._say("write", entry[2], 0, Path(path).read_bytes())

    # -- names -----------------------------------------------------------------------------

    def inside(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The whole path, if it lies in the folder."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return None
        text = os.fsdecode(path)
        if dir_fd is not None:
            text = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), text)
        text = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(text))), os.path.basename(text))
        return text if text.startswith(self.root + "/") else None

    def _new(self, path: str, *kind: str) -> tuple[int, str, int]:
        self._count += 1
        self._known[_same(os.lstat(path))] = self._count
        self._say("make", self._count, *kind)
        return self._entry(path)

    def _entry(self, path: str) -> tuple[int, str, int]:
        """A name: its folder, itself, what it names."""
        return self.number(os.path.dirname(path)), os.path.basename(path), self._known[_same(os.lstat(path))]

    def number(self, path: str) -> int:
        return self._known[_same(os.stat(path))]

    def made(self, path: str, *kind: str) -> None:
        self._say("move", self._new(path, *kind), None)

    def going(self, place: str | None) -> tuple[int, str, int] | None:
        """A name that is about to be removed; without another one the kernel may give its number to a new file."""
        if not place or not os.path.lexists(place):
            return None
        entry, status = self._entry(place), os.lstat(place)
        if status.st_nlink == 1:
            del self._known[_same(status)]
        return entry

    def _of(self, fd: int) -> int | None:
        return self._known.get(_same(os.fstat(fd)))

    # -- the calls ---------------------------------------------------------------------------

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        place = self.inside(path, dir_fd) if flags & os.O_CREAT else None
        with self._lock:
            new = place is not None and not os.path.lexists(place)
            fd: int = _real["open"](path, flags, mode, dir_fd=dir_fd)
            if new:
                self.made(place, "file")
        return fd

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        with self._lock:
            _real["mkdir"](path, mode, dir_fd=dir_fd)
            if place := self.inside(path, dir_fd):
                self.made(place, "folder")

    def symlink(self, target: Any, path: Any, *args: Any, **kinds: Any) -> None:
        with self._lock:
            _real["symlink"](target, path, *args, **kinds)
            if place := self.inside(path):
                self.made(place, "link", os.fsdecode(target))

    def link(self, source: Any, path: Any, **kinds: Any) -> None:
        with self._lock:
            _real["link"](source, path, **kinds)
            if place := self.inside(path):
                self._say("move", self._entry(place), None)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove("unlink", path, dir_fd)

    def rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove("rmdir", path, dir_fd)

    def _remove(self, call: str, path: Any, dir_fd: int | None) -> None:
        place = self.inside(path, dir_fd)
        with self._lock:
            entry = self.going(place)
            _real[call](path, dir_fd=dir_fd)
            if entry:
                self._say("move", None, entry)

    def rename(self, source: Any, target: Any) -> None:
        place, there = self.inside(source), self.inside(target)
        with self._lock:
            goes = self._entry(place) if place and os.path.lexists(place) else None
            _real["rename"](source, target)
            if goes:
                self._say("move", self._entry(there), goes)

    def write(self, fd: int, data: Any) -> int:
        return self._put(fd, "write", [data], self._position(fd))

    def writev(self, fd: int, pieces: Any) -> int:
        return self._put(fd, "writev", pieces, self._position(fd))

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        return self._put(fd, "pwrite", [data], offset, offset)

    def pwritev(self, fd: int, pieces: Any, offset: int, flags: int = 0) -> int:
        with self._lock:
            count = self._put(fd, "pwritev", pieces, offset, offset, flags)
            if flags & (os.RWF_DSYNC | os.RWF_SYNC) and (number := self._of(fd)) is not None:
                self._say("sync_piece", number)
        return count

    def sendfile(self, out: int, source: int, offset: int, count: int) -> int:
        with self._lock:
            start, data = self._position(out), os.pread(source, count, offset)
            sent: int = _real["sendfile"](out, source, offset, count)
            if (number := self._of(out)) is not None:
                self._say("write", number, start, data[:sent])
        return sent

    def _position(self, fd: int) -> int:
        if self._of(fd) is None:
            return 0
        return os.lseek(fd, 0, os.SEEK_END if self._appends(fd) else os.SEEK_CUR)

    def _appends(self, fd: int) -> bool:
        return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)

    def _put(self, fd: int, call: str, pieces: Any, start: int, *more: int) -> int:
        with self._lock:
            whole = pieces[0] if call in ("write", "pwrite") else pieces
            count: int = _real[call](fd, whole, *more)
            if count and (number := self._of(fd)) is not None:
                self._say("write", number, start, b"".join(map(bytes, pieces))[:count])
        return count

    def ftruncate(self, fd: int, length: int) -> None:
        _real["ftruncate"](fd, length)
        if (number := self._of(fd)) is not None:
            self._say("cut_short", number, length)

    def fsync(self, fd: int) -> None:
        with self._lock:
            _real["fsync"](fd)
            if (number := self._of(fd)) is not None:
                self._say("sync", number)

    def syncfs(self, _fd: int) -> int:
        """All of the file system is synced."""
        self._say("sync_all")
        return 0

    fdatasync, replace, remove = fsync, rename, unlink


class Database(apsw.VFS):
    """SQLite's files."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        super().__init__("recording", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802  # apsw's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        place = self.recording.inside(path)
        new = place is not None and not os.path.lexists(place)
        file = Sheet(self.recording, place, name, flags)
        if new:
            self.recording.made(place, "file")
        return file

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802  # apsw's name
        place = self.recording.inside(name)
        entry = self.recording.going(place)
        super().xDelete(name, syncdir)
        if entry:
            self.recording.events.append(("move", None, entry))
            if syncdir:
                self.recording.events.append(("sync", entry[0]))


class Sheet(apsw.VFSFile):
    """One of them. SQLite's own layer syncs the folder of a new log with the log's first sync."""

    def __init__(self, recording: Recording, place: str | None, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._say: Callable[..., None] = recording._say if place else lambda *_: None
        self._recording, self._place = recording, place or ""
        self._folder_too = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _DIRECTORY_TOO)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # apsw's name
        super().xWrite(data, offset)
        if self._place:
            self._say("write", self._recording.number(self._place), offset, bytes(data))

    def xTruncate(self, length: int) -> None:  # noqa: N802  # apsw's name
        super().xTruncate(length)
        if self._place:
            self._say("cut_short", self._recording.number(self._place), length)

    def xSync(self, flags: int) -> None:  # noqa: N802  # apsw's name
        super().xSync(flags)
        if not self._place:
            return
        self._say("sync", self._recording.number(self._place))
        if self._folder_too:
            self._say("sync", self._recording.number(os.path.dirname(self._place)))
            self._folder_too = False


@contextmanager
def recording(root: Path) -> Iterator[Recording]:
    """Record what this process does to a folder."""
    taken = Recording(root)
    library, disk._libc = disk._libc, taken
    for name in _real:
        setattr(os, name, getattr(taken, name))
    database = Database(taken)
    try:
        yield taken
    finally:
        database.unregister()
        disk._libc = library
        for name, call in _real.items():
            setattr(os, name, call)
