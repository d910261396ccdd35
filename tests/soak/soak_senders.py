"""Five clients that send without end: SMTP small, large and pipelined, sendmail, QMTP.  Each notes what it was answered."""

import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from soak_letters import SENDER, Ledger, Letter

from appliance import netstring

SENDMAIL = Path(sys.executable).with_name("sendmail")
PATIENCE = 60  # seconds for an answer


class Sender(threading.Thread):
    """One client; `pause` seconds at most between its sessions.  A session ends by OSError or EOFError if need be."""

    def __init__(self, session: Callable[[Ledger], None], ledger: Ledger, pause: float) -> None:
        super().__init__(daemon=True)
        self._session, self._ledger, self._pause = session, ledger, pause
        self._ending = threading.Event()
        self.trouble: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._ending.wait(random.uniform(0, self._pause)):
                try:
                    self._session(self._ledger)
                except (OSError, EOFError):  # the appliance was killed: come back
                    continue
        except BaseException as error:  # noqa: BLE001  # the audit says so
            self.trouble = error

    def stop(self) -> None:
        self._ending.set()


class Smtp:
    """A session of SMTP."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.settimeout(PATIENCE)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def hello(self) -> None:
        """Raises EOFError."""
        self.answer()
        self.say(b"EHLO client.example\r\n")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> bytes:
        """The last line of the next reply. Raises EOFError."""
        while (line := self._answers.readline())[3:4] == b"-":
            pass
        if not line:
            raise EOFError
        return line

    def say(self, data: bytes) -> bytes:
        self.send(data)
        return self.answer()


def _commands(letter: Letter) -> list[bytes]:
    return [b"MAIL FROM:<%b>\r\n" % SENDER.encode(), b"RCPT TO:<%b>\r\n" % letter.address.encode(), b"DATA\r\n"]


def _wire(letter: Letter) -> bytes:
    return re.sub(rb"^\.", b"..", letter.content, flags=re.MULTILINE).replace(b"\n", b"\r\n") + b".\r\n"


def one_by_one(port: int, way: str, sizes: tuple[int, int], count: int) -> Callable[[Ledger], None]:
    """Message after message, each command answered before the next."""

    def session(ledger: Ledger) -> None:
        with Smtp(port) as smtp:
            smtp.hello()
            for _ in range(random.randint(1, count)):
                letter = ledger.letter(way, random.randint(*sizes))
                ready = [smtp.say(command)[:1] for command in _commands(letter)] == [b"2", b"2", b"3"]
                taken = ready and smtp.say(_wire(letter)).startswith(b"250")
                ledger.answered(letter, time.time(), accepted=taken)
                if not ready:
                    return

    return session


def pipelined(port: int, count: int) -> Callable[[Ledger], None]:
    """All in one write, the contents too; then all answers."""

    def session(ledger: Ledger) -> None:
        letters = [ledger.letter("p", random.randint(0, 3000)) for _ in range(random.randint(2, count))]
        with Smtp(port) as smtp:
            smtp.hello()
            smtp.send(b"".join(b"".join(_commands(each)) + _wire(each) for each in letters))
            for letter in letters:
                before = [smtp.answer()[:1] for _ in range(3)]
                if before != [b"2", b"2", b"3"]:  # then the content was read as commands
                    return
                ledger.answered(letter, time.time(), accepted=smtp.answer().startswith(b"250"))

    return session


def injected(state: Path) -> Callable[[Ledger], None]:
    """By our sendmail, as a program of this machine does."""
    environment = {**os.environ, "PAPERPATH_STATE": str(state)}

    def session(ledger: Ledger) -> None:
        letter = ledger.letter("i", random.randint(0, 5000))
        done = subprocess.run(
            [SENDMAIL, "-f", SENDER, letter.address],
            input=letter.content,
            env=environment,
            capture_output=True,
            check=False,
        )
        if done.returncode not in (0, 100, 111):
            raise AssertionError(f"sendmail: exit {done.returncode}: {done.stderr!r}")
        if done.returncode == 100:
            raise AssertionError(f"sendmail refuses: {done.stderr!r}")
        if done.returncode == 0:  # 111 may also be an answer that got lost
            ledger.answered(letter, time.time(), accepted=True)

    return session


def by_qmtp(port: int, count: int) -> Callable[[Ledger], None]:
    """Packages one behind the other, each answered."""

    def session(ledger: Ledger) -> None:
        letters = [ledger.letter("q", random.randint(0, 20_000)) for _ in range(random.randint(1, count))]
        with socket.create_connection(("127.0.0.1", port), 10) as client, client.makefile("rb") as answers:
            client.settimeout(PATIENCE)
            for letter in letters:
                to = netstring.encode(letter.address.encode())
                client.sendall(b"".join(map(netstring.encode, (b"\n" + letter.content, SENDER.encode(), to))))
            for letter in letters:
                size = b"".join(iter(lambda: answers.read(1) or b":", b":"))
                if not size:
                    raise EOFError
                answer = answers.read(int(size) + 1)
                if len(answer) <= int(size):
                    raise EOFError
                ledger.answered(letter, time.time(), accepted=answer[:1] == b"K")

    return session
