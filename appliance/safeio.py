"""Writes that survive a power cut: the file is synced, and so is its directory.

qmail syncs files but never directories and relies on BSD's synchronous ones; Linux has
none, so a durable name needs a sync of its own.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path


def is_shared(folder: str | Path) -> bool:
    """Whether programs of several users share it (supervise/users.py): its group comes in, and has what is made there.

    Raises OSError.
    """
    mode = os.stat(folder).st_mode
    return bool(mode & stat.S_ISGID and mode & stat.S_IXGRP)


def keep_private(folder: str | Path) -> None:
    """What this process makes from here on is for its owner only; below a shared folder, for its group, too.

    Raises OSError.
    """
    os.umask(0o007 if is_shared(folder) else 0o077)


def sync_directory(path: str | Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_file(path: str | Path, chunks: Iterable[bytes], mode: int = 0o644) -> None:
    """Write a new file and sync its content; the caller syncs the directory once for all files.

    Raises OSError; a half-written file is removed.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            for chunk in chunks:
                write_all(fd, chunk)
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(path)
        raise


def write_again(path: str | Path) -> None:
    """Write a file's own bytes over themselves and sync them. Raises OSError.

    For what an earlier process has left: after a failed sync Linux takes pages for clean that never came to the disk,
    and no later sync writes them (fsync(2), EIO), but whoever reads the file sees them.
    """
    fd = os.open(path, os.O_RDWR)
    try:
        position = 0
        while piece := os.pread(fd, 1 << 20, position):
            position += os.pwrite(fd, piece, position)
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_link(link: Path, target: str) -> None:
    """Point a symbolic link somewhere else in one atomic, durable step. Raises OSError."""
    new = link.with_name(link.name + ".new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    sync_directory(link.parent)
