"""The kernel's notices about folders (inotify), by ctypes."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

# linux/inotify.h
_ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
# not each write: a log file in the same folder would wake us a thousand times a second
_ANY = _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_ONLY_FOLDERS = 0x01000000

_libc = ctypes.CDLL(None, use_errno=True)


class Folders:
    """A descriptor that is readable when something happened in one of the watched folders.

    Where the kernel gives no notices (no inotify, too many watches), it is never readable; the
    caller looks by itself now and then.
    """

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            self._fd, self._unused = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watched: dict[int, Path] = {}

    def fileno(self) -> int:
        return int(self._fd)

    def watch(self, folders: Iterable[Path]) -> None:
        """Watch these folders from here on, and no others."""
        wanted: dict[int, Path] = {}
        for folder in folders:
            # a folder watched already keeps its number; one that was replaced gets a new one
            number = _libc.inotify_add_watch(self._fd, os.fsencode(folder), _ANY | _ONLY_FOLDERS)
            if number >= 0:
                wanted[number] = folder
        for number in self._watched.keys() - wanted.keys():
            _libc.inotify_rm_watch(self._fd, number)
        self._watched = wanted

    def drain(self) -> None:
        """Forget the notices so far."""
        try:
            while os.read(self._fd, 65536):
                pass
        except BlockingIOError:
            return
