"""The way of one message through an idle server: from connecting until it is visible in the Maildir.

One small client on a blocking socket, the same for all servers.
"""

import socket
import time
from dataclasses import dataclass

from bench.arrivals import Maildir
from bench.contestant import SENDER


@dataclass(frozen=True)
class Latency:
    """Seconds since the connection was begun, one message."""

    accepted: float
    visible: float


def _command(sock: socket.socket, line: bytes, code: bytes) -> None:
    """Send a line and read its whole answer. Raises OSError for any other answer."""
    if line:
        sock.sendall(line)
    answer = b""
    while not answer.endswith(b"\r\n") or answer[answer.rfind(b"\n", 0, -1) + 4 :][:1] == b"-":
        data = sock.recv(4096)
        if not data:
            raise ConnectionError(f"closed after {line[:40]!r}")
        answer += data
    if not answer.startswith(code):
        raise ConnectionError(f"{answer!r} after {line[:40]!r}")


def one_message(port: int, recipient: str, number: int, size: int, maildir: Maildir, patience: float = 20) -> Latency:
    """Send one message and see it arrive. Raises OSError (TimeoutError if it does not arrive)."""
    head = f"From: <{SENDER}>\r\nTo: <{recipient}>\r\nMessage-Id: <latency.{number}@client.example>\r\n\r\n".encode()
    body = b"X" * 70 + b"\r\n"
    content = head + body * max(1, (size - len(head)) // len(body)) + b".\r\n"
    expected = maildir.count + 1
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as sock:
        _command(sock, b"", b"220")
        _command(sock, b"EHLO client.example\r\n", b"250")
        _command(sock, f"MAIL FROM:<{SENDER}>\r\n".encode(), b"250")
        _command(sock, f"RCPT TO:<{recipient}>\r\n".encode(), b"250")
        _command(sock, b"DATA\r\n", b"354")
        _command(sock, content, b"250")
        accepted = time.perf_counter() - began
        while maildir.count < expected:
            maildir.wait(max(0.0, began + patience - time.perf_counter()))
            if time.perf_counter() - began >= patience:
                raise TimeoutError(f"message {number} was not delivered within {patience:.0f} s")
        visible = time.perf_counter() - began
        _command(sock, b"QUIT\r\n", b"221")
    return Latency(accepted, visible)
