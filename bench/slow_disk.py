"""An ext4 file system on a disk in memory whose flush is as slow as one likes; root only.

ext4 waits for two flushes where a file has grown or is new (one before its journal's commit record, one after: a loop device
has no write-through), and for one where the file's pages were there already.  `fsync` of a growing file is
therefore twice the delay of a flush.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_SERVER = Path(__file__).with_name("delayed_flush.py")
_FLUSHES = 2  # of an fsync
_PASSTHROUGH = (6, 9)  # the first Linux that lets a FUSE server step aside
_START_PATIENCE = 5.0  # seconds


def missing() -> str | None:
    """Why it can't be made here."""
    lacking = [tool for tool in ("mkfs.ext4", "mount", "losetup") if not shutil.which(tool)]
    if os.geteuid() != 0:
        return "a slow disk needs root"
    if lacking:
        return f"a slow disk needs {', '.join(lacking)} (Debian's e2fsprogs and mount)"
    if not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        return "a slow disk needs FUSE and loop devices"
    major, minor = platform.release().split(".")[:2]
    return None if (int(major), int(minor)) >= _PASSTHROUGH else "a slow disk needs Linux 6.9 (FUSE passthrough)"


class SlowDisk:
    """The file system, mounted at `folder` while this is entered. Raises OSError, RuntimeError."""

    def __init__(self, place: Path, size: int = 4 << 30) -> None:
        """Disk and mount point lie in `place`, an existing folder; memory is taken as it is written to."""
        self._disk, self.folder, self._delay = place / "disk", place / "slow", place / "delay"
        self._size = size

    def delay(self, fsync_seconds: float) -> None:
        """From now on an fsync of a growing file takes at least so long."""
        with open(
            self._delay, "r+" if self._delay.exists() else "w"
        ) as file:  # never empty: it may be read at any time
            file.write(f"{fsync_seconds / _FLUSHES:9.6f}\n")

    def __enter__(self) -> Self:
        self._disk.touch()
        self.folder.mkdir()
        self.delay(0)
        arguments = [str(self._disk), str(self._size), str(self._delay)]
        self._server = subprocess.Popen([sys.executable, "-I", "-S", str(_SERVER), *arguments])
        try:
            self._wait()
            _command("mkfs.ext4", "-q", "-E", "nodiscard", str(self._disk))
            _command("mount", "-o", "loop", str(self._disk), str(self.folder))
        except BaseException:
            self._end()
            raise
        return self

    def _wait(self) -> None:
        end = time.monotonic() + _START_PATIENCE
        while not os.path.ismount(self._disk):
            if self._server.poll() is not None or time.monotonic() > end:
                raise OSError("the slow disk can't be mounted: see the lines above")
            time.sleep(0.01)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.delay(0)
        self._end()

    def _end(self) -> None:
        for path in (self.folder, self._disk):
            if os.path.ismount(path):
                _command("umount", str(path))
        self._server.terminate()
        self._server.wait()


def _command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
