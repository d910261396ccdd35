"""Making a batch durable: one syncfs where that is sound and quick, else one fdatasync a file.

Measured on 2 cores, ext4, files of 4 KiB, messages/s and CPU per message, both syncs included:

    files, Maildirs     1, 1          10, 10        50, 1         50, 50        200, 50
    fdatasync each      1,903 272 us  2,842 143 us  4,614 103 us  2,693 169 us  3,828 133 us
    8 threads           1,745 317 us  4,423 219 us  6,579 143 us  4,561 226 us  6,559 161 us
    writeback, then
      fdatasync each    2,546 166 us  3,895 110 us  7,183  93 us  3,604 137 us  6,571  95 us
    syncfs              2,997 149 us  9,333  58 us  8,347  93 us  8,242  68 us  12,061 62 us
    nothing                  -       26,773  37 us 13,455  74 us 17,221  58 us  16,417 61 us

An fdatasync each costs a flush of the disk each, even when the first one's journal commit held all.
syncfs writes what others have left unwritten on the same file system, too: when one takes long,
the next batches are synced file by file (written back together first, so that they share
the journal's commits), unless that takes no less: then it is the disk that is slow, where a
flush for each file is the last thing one wants.  It is not used where the kernel may ignore it (FUSE).

A syncfs that fails says not whose file it was, and a file asked again might say all is well: none of the batch
is taken for durable, and the next batches are synced file by file for a while.
"""

import contextlib
import ctypes
import os
import time
from collections.abc import Iterable, Sequence

from appliance import safeio

# file systems whose syncfs waits for data, directories and the disk
_SYNCFS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "tmpfs"})
_REPORTS_ERRORS = (5, 8)  # the first Linux whose syncfs reports a failed writeback
_SLOW = 0.1  # seconds; a syncfs that takes longer writes somebody else's data, or the disk is slow
_SLOWEST = 2.0  # seconds; no disk is that slow
_PAUSE = 5.0  # seconds without syncfs after a slow one

_libc = ctypes.CDLL(None, use_errno=True)


class Disk:
    """The file system below a folder.  Made before the program locks itself in: it reads mountinfo.

    whole: use syncfs; None: find out.
    """

    def __init__(self, folder: bytes, whole: bool | None = None) -> None:
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.whole = _serves(folder) if whole is None else whole
        self._slow = _SLOW
        self._took = 0.0  # seconds of the last slow syncfs
        self._not_before = 0.0

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._fd)

    def sync_files(self, files: Sequence[int]) -> dict[int, OSError]:
        """Make the content of open files durable; returns the errors of those that are not."""
        try:
            if self._sync_all():
                return {}
        except OSError as error:
            return dict.fromkeys(files, error)
        start = time.monotonic()
        if len(files) > 1:
            for fd in files:  # starts writing them all, so that one journal commit serves them all
                with contextlib.suppress(OSError):  # it is advice; the syncs below count
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        errors: dict[int, OSError] = {}
        for fd in files:
            try:
                os.fdatasync(fd)
            except OSError as error:
                errors[fd] = error
        self._compare(time.monotonic() - start)
        return errors

    def sync_folders(self, folders: Iterable[bytes]) -> dict[bytes, OSError]:
        """Make the names in folders durable; returns the errors of those that are not."""
        try:
            if self._sync_all():
                return {}
        except OSError as error:
            return dict.fromkeys(folders, error)
        start = time.monotonic()
        errors: dict[bytes, OSError] = {}
        for folder in folders:
            try:
                safeio.sync_directory(os.fsdecode(folder))
            except OSError as error:
                errors[folder] = error
        self._compare(time.monotonic() - start)
        return errors

    def _sync_all(self) -> bool:
        """Try syncfs; False: not done, so ask one by one. Raises OSError: it failed for somebody's file."""
        if not self.whole or time.monotonic() < self._not_before:
            return False
        start = time.monotonic()
        failed: int = _libc.syncfs(self._fd)
        end = time.monotonic()
        if end - start > self._slow:
            self._took, self._not_before = end - start, end + _PAUSE
        if failed:
            self._not_before = end + _PAUSE
            raise OSError(number := ctypes.get_errno(), os.strerror(number))
        return True

    def _compare(self, seconds: float) -> None:
        """After a sync one by one: if it took no less than the slow syncfs, that is as quick as this disk gets."""
        if self.whole and 0 < self._took <= seconds:
            self._slow, self._not_before = min(2 * self._took, _SLOWEST), 0.0


def _serves(folder: bytes) -> bool:
    """Is this a file system and a kernel whose syncfs can be relied on?"""
    try:
        major, minor = os.uname().release.split(".")[:2]
        if (int(major), int(minor)) < _REPORTS_ERRORS:
            return False
        device = os.stat(folder).st_dev
        name = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", "rb") as table:
            for line in table:
                fields, _, rest = line.decode("utf-8", "replace").partition(" - ")
                if fields.split(" ")[2] == name:
                    return rest.split(" ")[0] in _SYNCFS
    except (OSError, ValueError, IndexError):  # unknown is not sound
        return False
    return False
