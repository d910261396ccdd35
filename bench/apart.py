"""Folders that lie apart from each other on an ext4 file system.

ext4 does not give out an inode again within minutes of its deletion, and looks at each of the deleted ones of a block
group whenever it makes a file there.  Who runs where another server, or an earlier run, has just deleted thousands of
files pays for them: local's CPU time a message was 1.0 ms instead of 0.1 (perf: recently_deleted and what it calls).
A folder in a folder with the flag "top of directory hierarchies" (chattr +T) gets a block group of its own.
"""

import array
import fcntl
import os
from contextlib import suppress
from pathlib import Path

_GET, _SET = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
_TOPDIR = 0x00020000


def spread(folder: Path) -> None:
    """From now on, lay what is made in this folder apart, where the file system knows how to."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = array.array("l", [0])
        with suppress(OSError):  # another file system, which has no such flag, or no such trouble
            fcntl.ioctl(fd, _GET, flags)
            flags[0] |= _TOPDIR
            fcntl.ioctl(fd, _SET, flags)
    finally:
        os.close(fd)
