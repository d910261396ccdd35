"""A person who reads mail by POP3: one session."""

import contextlib
import socket

READER, PASSWORD = "reader@example.org", "a secret"


class Reader(contextlib.ExitStack):
    """A session that is logged in; OSError and EOFError end it, and so does every answer but +OK."""

    def __init__(self, port: int, patience: float) -> None:
        super().__init__()
        self._connection = self.enter_context(socket.create_connection(("127.0.0.1", port), patience))
        self._answers = self.enter_context(self._connection.makefile("rb"))

    def log_in(self) -> None:
        self._hear()
        self.say(f"USER {READER}")
        self.say(f"PASS {PASSWORD}")

    def say(self, command: str, *, lines: bool = False) -> list[bytes]:
        """The lines of the answer to a command, if it has some, with LF."""
        self._connection.sendall(f"{command}\r\n".encode())
        self._hear()
        found: list[bytes] = []
        while lines and (line := self._answers.readline()) != b".\r\n":
            if not line:
                raise EOFError
            found.append(line.removeprefix(b".").replace(b"\r\n", b"\n"))
        return found

    def hang_up(self) -> None:
        """Leave without a word, and wait until the mailbox is free again."""
        self._connection.shutdown(socket.SHUT_WR)
        if self._answers.read():
            raise EOFError("an answer to nothing")

    def _hear(self) -> None:
        if not self._answers.readline().startswith(b"+OK"):
            raise EOFError
