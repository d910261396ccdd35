"""A load for many recipients, which smtp-source does not know: a few connections, each message for the next of a list."""

import socket
import threading
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from bench.contestant import SENDER

_TIMEOUT = 30.0  # seconds an answer may take


def send(port: int, recipients: Sequence[str], connections: int = 20, size: int = 4096) -> None:
    """One message to each recipient, about in their order; returns when all are accepted.

    Raises RuntimeError if one is not.
    """
    problems: list[str] = []
    left = iter(recipients)
    lock = threading.Lock()

    def work() -> None:
        try:
            _sender(port, left, lock, size)
        except (OSError, RuntimeError) as error:
            problems.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise RuntimeError(f"not all messages were accepted: {problems[0]}")


def _sender(port: int, left: Iterator[str], lock: threading.Lock, size: int) -> None:
    content = b"Subject: load\r\n\r\n" + (b"x" * 76 + b"\r\n") * (size // 78) + b".\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
        replies = connection.makefile("rb")
        _expect(replies, b"2")
        connection.sendall(b"HELO client.example\r\n")
        _expect(replies, b"2")
        while True:
            with lock:
                recipient = next(left, None)
            if recipient is None:
                connection.sendall(b"QUIT\r\n")
                return
            connection.sendall(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
            for expected in (b"2", b"2", b"3"):
                _expect(replies, expected)
            connection.sendall(content)
            _expect(replies, b"2")


def _expect(replies: BinaryIO, first: bytes) -> None:
    line = replies.readline()
    while line[3:4] == b"-":
        line = replies.readline()
    if line[:1] != first:
        raise RuntimeError(line.decode(errors="replace").strip() or "the connection was closed")
