"""The mail of one fault: what is sent, where it must arrive, and what came of it.

Each message has a token of its own.  A sender does what every mail server does: what was not answered 250 it sends
again, until it is.  A 5xx for a good message, a bounce of one, and a message that was answered 250 and is nowhere
are what must not be.
"""

import contextlib
import json
import os
import re
import signal
import smtplib
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))
from appliance_process import PAPERPATH, Appliance, free_port, wait_until

from appliance import netstring, password
from appliance.queue import ask
from appliance.state import State

ask.TIMEOUT = 5.0  # seconds for an answer of the queue: a fault may swallow it
TOKEN = re.compile(rb"token-[0-9]+-end")
HASH = password.make(b"a secret")
YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {smtp}}}
  qmtp: {{address: 127.0.0.1, port: {qmtp}}}
  pop3: {{address: 127.0.0.1, port: {pop3}}}
processes: {{smtpd: 1}}
domains:
  example.org:
    mailboxes:
      alice: {{}}
      bob: {{}}
      sender: {{}}
      reader: {{password: "{hash}"}}
      box: {{deliver: ["./Mailbox"]}}
      tool: {{deliver: ["|cat >>got"]}}
    aliases:
      onward: [bob]
      postmaster: [sender]
relay: {{allow_from: [127.0.0.1/32]}}
routes:
  - {{domain: partner.example, via: "smtp://127.0.0.1:{partner}"}}
"""


class Refused(AssertionError):
    """A good message was refused for good."""


class Partner:
    """The next host: takes what is for good@, refuses bad@, and keeps the tokens that it answered 250 for."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()
        self.port = 0
        self.listen()

    def listen(self) -> None:
        """Be there, at the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Be gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rwb", buffering=0) as file:
                connection.sendall(b"220 partner.example\r\n")
                self._talk(connection, file)
        except OSError:
            return

    def _talk(self, connection: socket.socket, file) -> None:
        for line in file:
            verb = line[:4].upper()
            if verb == b"DATA":
                connection.sendall(b"354 go ahead\r\n")
                content = b""
                while not content.endswith(b"\r\n.\r\n"):
                    more = connection.recv(65536)
                    if not more:
                        return
                    content += more
                self.seen.update(set(TOKEN.findall(content)))
            answer = b"550 5.1.1 nobody of that name\r\n" if b"<bad@" in line else b"250 ok\r\n"
            connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else answer)
            if verb == b"QUIT":
                return


@dataclass(frozen=True)
class Letter:
    """A message to be: who gets it, how large it is, where it must be found at the end."""

    recipients: tuple[str, ...]
    size: int
    places: tuple[str, ...]


SMALL, LARGE = 1000, 300_000
LETTERS = {
    "maildir": Letter(("alice@example.org", "onward@example.org"), SMALL, ("alice", "bob")),
    "large": Letter(("alice@example.org",), LARGE, ("alice",)),
    "onward": Letter(("onward@example.org",), LARGE, ("bob",)),
    "mbox": Letter(("box@example.org",), SMALL, ("box",)),
    "program": Letter(("tool@example.org",), SMALL, ("tool",)),
    "mixed": Letter(("good@partner.example", "bad@partner.example"), SMALL, ("partner", "bounce")),
    "abroad": Letter(("good@partner.example",), LARGE, ("partner",)),
}


@dataclass
class Sent:
    """A message, its token and its fate; `answers` are those to its attempts, 0 for a connection that broke.

    by  smtp or qmtp
    """

    letter: Letter
    token: bytes
    by: str = "smtp"
    answers: list[int] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return self.answers[-1:] == [250]

    @property
    def content(self) -> bytes:
        line = self.token + b"x" * 60 + b"\r\n"
        return b"From: sender@example.org\r\nSubject: test\r\n\r\n" + line * (self.letter.size // len(line))


class Post:
    """An appliance, a next host, and all that was ever sent through them."""

    def __init__(self, folder: Path, yaml: str = YAML) -> None:
        self.partner = Partner()
        self.ports = {name: free_port() for name in ("smtp", "qmtp", "pop3")}
        text = yaml.format(**self.ports, partner=self.partner.port, hash=HASH)
        self.appliance = Appliance(folder / "appliance", yaml=text)
        self.appliance.port = self.ports["smtp"]
        self.state = State(self.appliance.state)
        self.paperpath = PAPERPATH
        self.sent: list[Sent] = []
        self._number = 0
        self._found: dict[str, Counter[bytes]] = {}
        self._read: dict[Path, int] = {}
        self.wrong: list[str] = []  # bounces that should not be

    def write(self, *names: str, by: str = "smtp") -> list[Sent]:
        """New messages, not yet sent."""
        written = []
        for name in names:
            self._number += 1
            written.append(Sent(LETTERS[name], b"token-%d-end" % self._number, by))
        self.sent += written
        return written

    def attempt(self, message: Sent, seconds: float = 10) -> bool:
        """Send it once, by a connection of its own; whether it is accepted. Raises Refused."""
        code = 0
        try:
            code = (self._smtp if message.by == "smtp" else self._qmtp)(message, seconds)
        except smtplib.SMTPResponseException as error:
            code = max(0, error.smtp_code)
        except (OSError, smtplib.SMTPException):
            code = 0
        message.answers.append(code)
        if code >= 500:
            raise Refused(f"{message.token!r} was answered {message.answers}")
        return message.accepted

    def _smtp(self, message: Sent, seconds: float) -> int:
        where = ("127.0.0.1", self.ports["smtp"])
        session = smtplib.SMTP(*where, local_hostname="client.example", timeout=seconds)
        try:
            code, _ = session.ehlo()
            if code == 250:
                code, _ = session.mail("sender@example.org")
            for recipient in message.letter.recipients:
                if code == 250:
                    code, _ = session.rcpt(recipient)
            return session.data(message.content)[0] if code == 250 else code
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):  # a goodbye that fails changes nothing
                session.quit()
            session.close()

    def _qmtp(self, message: Sent, seconds: float) -> int:
        """Daniel J. Bernstein, Quick Mail Transfer Protocol: content, sender, recipients; an answer for each of these."""
        recipients = [netstring.encode(recipient.encode()) for recipient in message.letter.recipients]
        content = b"\n" + message.content.replace(b"\r\n", b"\n")
        package = [content, b"sender@example.org", b"".join(recipients)]
        with socket.create_connection(("127.0.0.1", self.ports["qmtp"]), seconds) as connection:
            connection.sendall(b"".join(map(netstring.encode, package)))
            answers: list[bytes] = []
            decoder = netstring.Decoder(1 << 16)
            while len(answers) < len(recipients):
                data = connection.recv(65536)
                if not data:
                    return 0
                answers += decoder.feed(data)
        return max({b"K": 250, b"Z": 451}.get(answer[:1], 550) for answer in answers)

    def send_all(self, messages: Iterable[Sent], seconds: float = 10) -> None:
        """Until each is accepted."""
        for message in messages:
            try:
                wait_until(lambda message=message: message.accepted or self.attempt(message), seconds, "")
            except AssertionError as error:
                raise AssertionError(f"{message.token!r} is not accepted: {message.answers[-5:]}") from error

    # -- where it went ------------------------------------------------------------------

    def missing(self, messages: Iterable[Sent]) -> list[tuple[bytes, str]]:
        """Which message is not yet where it belongs."""
        self._look()
        return [
            (message.token, place)
            for message in messages
            for place in message.letter.places
            if message.accepted and not self._found[place][message.token]
        ]

    def _look(self) -> None:
        """Read what is new."""
        mail = self.state.mail / "example.org"
        found = {name: self._found.setdefault(name, Counter()) for name in ("alice", "bob", "box", "tool", "bounce")}
        self._found["partner"] = self.partner.seen
        for name in ("alice", "bob", "sender"):
            folder = mail / name / "Maildir" / "new"
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path not in self._read:
                    with contextlib.suppress(FileNotFoundError):  # local has taken it back: its disk did not keep it
                        self._take(name, path.read_bytes())
                        self._read[path] = 1
        for name, file in (("box", "Mailbox"), ("tool", "got")):
            path = mail / name / file
            if path.exists() and path.stat().st_size != self._read.get(path):
                self._read[path] = path.stat().st_size
                found[name].clear()
                found[name].update(set(TOKEN.findall(path.read_bytes())))

    def _take(self, name: str, mail: bytes) -> None:
        tokens = set(TOKEN.findall(mail))
        if name != "sender":
            sent = next(each for each in self.sent if each.token in tokens)
            body = mail.partition(b"Subject: test\n\n")[2].replace(b"\n", b"\r\n")
            assert sent.content.endswith(body), f"{sent.token!r} is not as it was sent"
            self._found[name].update(tokens)
            return
        self._found["bounce"].update(tokens)
        mixed = {each.token for each in self.sent if "bounce" in each.letter.places}
        if not tokens <= mixed or b"good@partner" in mail.partition(b"Subject: test")[0]:
            self.wrong.append(mail.decode("utf-8", "replace")[:2000])

    def duplicates(self) -> int:
        """How many messages lie somewhere more often than they should."""
        self._look()
        return sum(
            count - 1
            for place in ("alice", "bob", "partner", "bounce")
            for count in self._found[place].values()
            if count > 1
        )

    # -- the programs -------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """The process of a program; 0 if there is none now."""
        found = self.appliance.programs()
        return next((pid for key, pid in found.items() if key.partition(":")[0] in (name, f"{name}-1")), 0)

    def waiting(self) -> int:
        """Messages in the queue; -1 if it does not answer."""
        try:
            return (
                int(next(ask.ask(self.state, {"do": "ping"}))["messages"]) if self.state.door("admin").exists() else -1
            )
        except (OSError, StopIteration, KeyError, json.JSONDecodeError):
            return -1

    def listing(self) -> None:
        """Look at the queue, which folds its journal into the database for that."""
        with contextlib.suppress(OSError):
            list(ask.ask(self.state, {"do": "list"}))

    def hurry(self) -> None:
        """Have the queue try everything now."""
        if (pid := self.pid("queue")) and self.waiting() >= 0:  # by default the signal would end it while it starts
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGALRM)

    def settle(self, messages: Iterable[Sent], seconds: float = 10, *, hurry: bool = True) -> None:
        """Until all that was accepted is where it belongs, and the queue is empty; hurry: what waits is tried now."""
        messages, hurried = list(messages), 0.0

        def settled() -> bool:
            nonlocal hurried
            if not self.missing(messages) and self.waiting() == 0:
                return True
            if hurry and time.monotonic() - hurried > 0.3:
                hurried = time.monotonic()
                self.hurry()
            return False

        try:
            wait_until(settled, seconds, "")
        except AssertionError as error:
            raise AssertionError(f"missing {self.missing(messages)}, queued {self.waiting()}") from error
