"""The host that is attacked, the attacker's bare hands, and the careless next host that would be the victim.

The attacker comes from 127.0.0.1, a stranger here; 127.0.0.2 may relay; 127.0.0.3 has bare newlines mended.  All mail for other hosts would go to one next
host, which takes everything and for which nearly anything ends a message: what a forger hopes to find.
"""

import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "end_to_end"))
from appliance_process import Appliance, free_port, wait_until

from appliance import netstring

FRIEND, OLD_PRINTER = "127.0.0.2", "127.0.0.3"
ENDS_NEARLY = re.compile(rb"(?:^|\r\n|\n|\r)\0*\.\0*(?:\r\n|\n|\r)")
YAML = r"""
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {smtp}}}
  qmtp: {{address: 127.0.0.1, port: {qmtp}}}
  qmqp: {{address: 127.0.0.1, port: {qmqp}, allow: [127.0.0.2/32]}}
  pop3: {{address: 127.0.0.1, port: {pop3}}}
domains:
  example.org:
    mailboxes: {{alice: {{}}, bob: {{deliver: ['|printf "no\r.\r\nMAIL FROM:<evil@victim.example>\r\n"; exit 100']}}}}
    aliases: {{postmaster: [alice], abroad: [away@victim.example], refused: [refused@victim.example]}}
relay: {{allow_from: [127.0.0.2/32]}}
smtp: {{bare_newline: normalize, normalize_from: [127.0.0.3/32]}}
routes: [{{domain: "*", via: "smtp://127.0.0.1:{victim}"}}]
control: {{percenthack: [example.org], rcpthosts: [example.org, mx.example.org, .backup.example]}}
"""
REFUSAL = b"550 5.1.1 no such user\r.\r\nMAIL FROM:<evil@victim.example>\rInjected: yes\0\r\n"


class CarelessHost:
    """A next host that reads messages as laxly as any server ever did, and keeps them and every byte it was sent."""

    def __init__(self) -> None:
        self.letters: list[tuple[bytes, tuple[bytes, ...], bytes]] = []
        self.raw: list[bytearray] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        raw = bytearray()
        self.raw.append(raw)
        sender, recipients, data = b"", [], b""
        with connection, suppress(ConnectionError):
            connection.sendall(b"220 victim.example\r\n")
            while True:
                while not re.search(rb"[\r\n]", data):
                    more = connection.recv(65536)
                    if not more:
                        return
                    raw += more
                    data += more
                line, data = re.split(rb"\r\n|\r|\n", data, maxsplit=1)
                verb = line[:4].upper()
                if verb == b"MAIL":
                    sender, recipients = line[10:], []
                elif verb == b"RCPT":
                    recipients.append(line[8:])
                if verb == b"RCPT" and line[8:].startswith(b"<refused"):
                    connection.sendall(REFUSAL)
                elif verb == b"DATA":
                    connection.sendall(b"354 go ahead\r\n")
                    while not (end := ENDS_NEARLY.search(data)):
                        more = connection.recv(65536)
                        if not more:
                            return
                        raw += more
                        data += more
                    self.letters.append((sender, tuple(recipients), data[: end.start()]))
                    data = data[end.end() :]
                    connection.sendall(b"250 ok\r\n")
                elif verb == b"EHLO":
                    connection.sendall(b"250-victim.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n")
                else:
                    connection.sendall(b"250 ok\r\n")


class Attacker:
    """A connection to a port: what is sent is exactly what is given."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self.socket.close()

    def send(self, data: bytes, *cuts: int) -> None:
        """Send it, in a packet of its own up to each cut."""
        for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
            self.socket.sendall(data[start:end])
            if end < len(data):
                time.sleep(0.002)

    def line(self) -> bytes:
        """One line of an answer; empty at the connection's end."""
        return self._answers.readline().rstrip(b"\r\n")

    def reply(self) -> bytes:
        """The last line of the next reply of SMTP."""
        while (line := self.line())[3:4] == b"-":
            pass
        return line

    def say(self, command: bytes) -> bytes:
        """The reply to a command."""
        self.send(command + b"\r\n")
        return self.reply()

    def rest(self) -> bytes:
        """All that is answered until the end of the connection; nothing more is sent."""
        with suppress(OSError):  # it may have ended the connection already
            self.socket.shutdown(socket.SHUT_WR)
        return self._answers.read()


class Attacked:
    """A running appliance, and the careless next host behind it."""

    def __init__(self, folder: Path) -> None:
        self.victim = CarelessHost()
        self.ports = {name: free_port() for name in ("smtp", "qmtp", "qmqp", "pop3")}
        self.appliance = Appliance(folder, yaml=YAML.format(**self.ports, victim=self.victim.port))
        self.appliance.port = self.ports["smtp"]
        self.appliance.start()
        for port in self.ports.values():
            wait_until(lambda port=port: _listens(port), 10, "a listener")

    def attacker(self, name: str = "smtp", source: str = "127.0.0.1") -> Attacker:
        """A connection to one of the listeners."""
        return Attacker(self.ports[name], source)

    def smtp(self, source: str = "127.0.0.1") -> Attacker:
        """A session of SMTP that has said who it is."""
        session = self.attacker(source=source)
        assert session.reply()[:3] == b"220"
        assert session.say(b"EHLO attacker.example")[:3] == b"250"
        return session

    def package(
        self, content: bytes, *recipients: bytes, sender: bytes, listener: str = "qmtp", source: str = "127.0.0.1"
    ) -> list[bytes]:
        """Send a message by QMTP or QMQP; the answers.  Of QMTP `content` has its first byte, CR or LF."""
        parts = list(map(netstring.encode, recipients))
        if listener == "qmtp":
            data = netstring.encode(content) + netstring.encode(sender) + netstring.encode(b"".join(parts))
        else:
            data = netstring.encode(b"".join((netstring.encode(content), netstring.encode(sender), *parts)))
        with self.attacker(listener, source) as session:
            session.send(data)
            return netstring.Decoder(1000).feed(session.rest())

    def command(self, *words: str | bytes, letter: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of our commands as Paperpath's user does; `more` is put into its environment."""
        name = Path(sys.executable).with_name(str(words[0]))
        environment = {**self.environment, "PAPERPATH_STATE": str(self.appliance.state), **more}
        return subprocess.run([name, *words[1:]], input=letter, capture_output=True, env=environment, check=False)

    def enqueue(self, letter: bytes, envelope: bytes) -> int:
        """Hand a message to qmail-queue, whose standard output is the envelope; its exit status."""
        with tempfile.TemporaryFile() as text:
            text.write(envelope)
            text.seek(0)
            environment = {**self.environment, "PAPERPATH_STATE": str(self.appliance.state)}
            name = Path(sys.executable).with_name("qmail-queue")
            return subprocess.run([name], input=letter, stdout=text, env=environment, check=False).returncode

    @property
    def environment(self) -> dict[str, str]:
        """Of the appliance and so of the commands: a mutant's, perhaps."""
        assert self.appliance.process is not None
        text = Path(f"/proc/{self.appliance.process.pid}/environ").read_bytes()
        return dict(pair.decode().split("=", 1) for pair in text.split(b"\0") if b"=" in pair)

    def settled(self) -> None:
        """Wait until nothing is queued."""
        wait_until(lambda: not self.appliance.queue(), 30, f"an empty queue, not {self.appliance.queue()}")

    def reached(self) -> list[tuple[bytes, tuple[bytes, ...], bytes]]:
        """What the next host has got, once nothing is queued; forgets it."""
        self.settled()
        found, self.victim.letters = self.victim.letters, []
        return found

    def stop(self) -> None:
        assert self.appliance.stop() == 0


@contextmanager
def attacked(folder: Path) -> Iterator[Attacked]:
    """One for as long as it is needed."""
    host = Attacked(folder)
    try:
        yield host
    finally:
        host.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True
