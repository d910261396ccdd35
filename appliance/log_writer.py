"""The lines of the log on their way to a descriptor: a write never blocks and never fails a mail."""

import os
import select
import time
from collections.abc import Callable

from appliance import qmail_log

_WRITE = 4096  # PIPE_BUF: a pipe that polls writable takes this much at once, whole
_KEEP = 1 << 20  # bytes of lines that wait for a slow reader


class Writer:
    """Lines on their way to a descriptor."""

    def __init__(self) -> None:
        self.program = "paperpath"
        self.qmail = False  # control/log asks for qmail's form
        self.fd = 1
        self.later: Callable[[], object] | None = None
        self._lines: list[str] = []
        self._bytes = 0
        self._dropped = 0
        self._second = 0
        self._stamp = ""
        self._poll = select.poll()
        self._polled = -1

    def add(self, event: str, fields: str) -> None:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line = (
            f'{{"time": "{self._stamp}.{int((now - second) * 1000):03d}Z", '
            f'"program": "{self.program}", "event": "{event}"{fields}}}\n'
        )
        if self.qmail and not (line := qmail_log.line(now, self.program, event, fields)):
            return
        if self._bytes > _KEEP:
            self._dropped += 1
            return
        if not self._lines and self.later is not None:
            self.later()
        self._lines.append(line)
        self._bytes += len(line)
        if self.later is None or self._bytes >= _WRITE:
            self.flush()

    def flush(self) -> None:
        """Write what the reader takes now; keep the rest."""
        if self._polled != self.fd:
            self._poll = select.poll()
            self._poll.register(self.fd, select.POLLOUT)
            self._polled = self.fd
        lines = self._lines
        read = True
        while lines:
            count, size = 0, 0
            for line in lines:  # as many whole lines as one write takes
                if count and size + len(line) > _WRITE:
                    break
                count, size = count + 1, size + len(line)
            if not any(events & select.POLLOUT for _, events in self._poll.poll(0)):
                return
            try:
                os.write(self.fd, "".join(lines[:count]).encode())
            except BlockingIOError:
                return
            except OSError:  # nobody reads the log any more; mail goes on
                self._dropped += count
                read = False
            del lines[:count]
            self._bytes -= size
        if self._dropped and read:
            dropped, self._dropped = self._dropped, 0
            self.add("log_dropped", f', "lines": {dropped}')
