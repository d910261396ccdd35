"""Counting messages as they arrive: in a Maildir (by inotify), or in smtp-sink (by its counter)."""

import ctypes
import os
import select
import socket
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

_IN_CREATE, _IN_MOVED_TO, _IN_Q_OVERFLOW = 0x100, 0x80, 0x4000
_PATIENCE = 5.0  # seconds for smtp-sink to start
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Arrivals(Protocol):
    """Something that counts messages at the end of their way."""

    def wait(self, seconds: float) -> int:
        """Wait at most so long for news; the number of messages that have arrived so far."""


class Maildir:
    """A watched Maildir: linking or renaming into new/ counts."""

    def __init__(self, maildir: Path) -> None:
        self.new = maildir / "new"
        self.count = 0
        self._fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._fd < 0 or _libc.inotify_add_watch(self._fd, os.fsencode(self.new), _IN_CREATE | _IN_MOVED_TO) < 0:
            raise OSError(ctypes.get_errno(), f"inotify on {self.new}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        return int(self._fd)

    def wait(self, seconds: float) -> int:
        if select.select([self._fd], [], [], seconds)[0]:
            self._read()
        return self.count

    def _read(self) -> None:
        events = os.read(self._fd, 1 << 18)
        position = 0
        while position < len(events):
            _, mask, _, length = _EVENT.unpack_from(events, position)
            position += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                self.count = len(os.listdir(self.new))
            else:
                self.count += 1

    def message_ids(self) -> Counter[bytes]:
        """How often each Message-Id stands in new/: the exact account of what is lost and what is doubled."""
        found: Counter[bytes] = Counter()
        for entry in os.scandir(self.new):
            with open(entry.path, "rb") as file:
                head = file.read(4096)
            at = head.lower().find(b"\nmessage-id:")
            found[head[at + 12 : head.find(b"\n", at + 1)].strip() if at >= 0 else b"?"] += 1
        return found


class Sink:
    """smtp-sink with its running counter in a file. Raises OSError if it can't be started."""

    def __init__(self, port: int, folder: Path, *options: str) -> None:
        self.count = 0
        self._counter = folder / "sink.count"
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        with open(self._counter, "wb") as output, open(folder / "sink.log", "wb") as log:
            command = ["smtp-sink", "-c", *user, *options, f"127.0.0.1:{port}", "1024"]
            self._process = subprocess.Popen(command, stdout=output, stderr=log)
        self._wait_until_it_listens(port)

    def _wait_until_it_listens(self, port: int) -> None:
        """Mail that comes a moment too early is refused twice in a row, and put off for minutes."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    self._process.kill()
                    self._process.wait()
                    raise
            time.sleep(0.002)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()

    def wait(self, seconds: float) -> int:
        """As Arrivals.wait; looks at the counter every 2 ms."""
        before, end = self.count, time.monotonic() + seconds
        while self.count == before:
            with open(self._counter, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 100))
                last = file.read().rpartition(b"mesg=")[2].rstrip(b"\r")
            if last.isdigit():
                self.count = int(last)
            if time.monotonic() >= end:
                break
            time.sleep(0.002)
        return self.count
