"""The client on standard input and output, as tcpserver and inetd give it: lines in, pieces out, each within a time."""

import os
import select
from collections.abc import Iterable

from appliance import safeio
from appliance.pop3d.commands import LINE

IN, OUT = 0, 1
PATIENCE = 1200.0  # seconds for each line and each piece, as qmail-popup and qmail-pop3d


class Gone(Exception):
    """The client has left, or says nothing any more."""


class Client:
    """Who is at the other end.

    ahead  read more than a line at a time; not where another program goes on with this descriptor
    """

    def __init__(self, *, ahead: bool) -> None:
        self._at_once = 4096 if ahead else 1
        self._read = b""

    def line(self) -> bytes:
        """The next line with its LF. Raises Gone."""
        while b"\n" not in self._read:
            if len(self._read) >= LINE:
                self.send([b"-ERR this line is too long\r\n"])
                raise Gone
            self._wait(IN, select.POLLIN)
            try:
                data = os.read(IN, self._at_once)
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return line + b"\n"

    def send(self, pieces: Iterable[bytes]) -> None:
        """Write all. Raises Gone; OSError of the pieces' own making."""
        for piece in pieces:
            for start in range(0, len(piece), select.PIPE_BUF):
                self._wait(OUT, select.POLLOUT)
                try:
                    safeio.write_all(OUT, piece[start : start + select.PIPE_BUF])
                except OSError as error:
                    raise Gone from error

    @staticmethod
    def _wait(fd: int, event: int) -> None:
        poll = select.poll()
        poll.register(fd, event)
        if not poll.poll(PATIENCE * 1000):
            raise Gone
