"""A name server that knows nothing: every question is answered with "no such domain", at once.

OpenSMTPD and chasquid look up every client and sender. The machine's resolver would add its own waiting time (some drop
questions that come twenty at a time, which costs seconds), and would carry the benchmark's questions outside.
"""

import socket
import threading
from types import TracebackType
from typing import Self

ADDRESS = "127.28.0.53"
_NO_SUCH_DOMAIN = b"\x81\x83"  # RFC 1035 section 4.1.1: QR, RD, RA, RCODE 3


class NameServer:
    """Answers on UDP while it is open. Raises OSError if it may not bind port 53 of its loopback address."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._socket.sendto(b"", (ADDRESS, 53))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, client = self._socket.recvfrom(4096)
            except OSError:
                return
            if not question:  # from __exit__
                return
            end = question.find(b"\0", 12) + 5  # the name's end, type and class
            if len(question) >= end > 12:
                head = question[:2] + _NO_SUCH_DOMAIN + b"\0\1\0\0\0\0\0\0"
                self._socket.sendto(head + question[12:end], client)
