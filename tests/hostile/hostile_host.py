"""A whole appliance with every listener, and clients of all protocols from any loopback address."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))
from appliance_process import PAPERPATH, Appliance, free_port, wait_until

from appliance import netstring

YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 0.0.0.0, port: {smtp}}}
  pop3: {{address: 0.0.0.0, port: {pop3}}}
  qmtp: {{address: 0.0.0.0, port: {qmtp}}}
  qmqp: {{address: 0.0.0.0, port: {qmqp}, allow: [127.0.0.0/8]}}
domains:
  example.org:
    mailboxes: {{alice: {{password: "{hash}"}}, bob: {{}}}}
    aliases: {{postmaster: [alice]}}
relay: {{allow_from: [127.0.0.0/8]}}
routes: [{{domain: "*", via: "smtp://127.0.0.1:{sink}"}}]
limits: {{message_size: 60MiB}}
"""
ALICE = b"alice@example.org"


class Clients:
    """Clients of an appliance on this machine's loopback; `ports` by listener."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports

    def connect(self, name: str, address: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[name]), 20, source_address=(address, 0))

    def smtp(self, address: str, *recipients: bytes, content: bytes = b"Subject: x\r\n\r\ntext\r\n") -> None:
        """A message, all commands at once; 250 for it."""
        commands = [
            b"EHLO x",
            b"MAIL FROM:<a@client.example>",
            *[b"RCPT TO:<%b>" % each for each in recipients],
            b"DATA",
        ]
        with self.connect("smtp", address) as client:
            client.sendall(b"\r\n".join(commands) + b"\r\n")
            told = client.recv(4096)
            while b"\n354 " not in told:
                told += _more(client, told)
            client.sendall(content + b".\r\nQUIT\r\n")
            while b"\n221 " not in told:
                told += _more(client, told)
        assert b"\n250 2.0.0 accepted" in told, told

    def qmqp(self, address: str, content: bytes = b"Subject: x\n\ntext\n") -> None:
        """A message for alice; K for it."""
        letter = b"".join(map(netstring.encode, (content, b"a@client.example", ALICE)))
        with self.connect("qmqp", address) as client:
            client.sendall(netstring.encode(letter))
            told = b"".join(iter(lambda: client.recv(4096), b""))
        assert netstring.Decoder(1000).feed(told)[0][:1] == b"K", told

    def pop3(self, address: str) -> None:
        """A log-in with the right password."""
        with self.connect("pop3", address) as client:
            lines = client.makefile("rwb")
            assert lines.readline()[:3] == b"+OK"
            for command in (b"USER " + ALICE, b"PASS secret", b"STAT", b"QUIT"):
                lines.write(command + b"\r\n")
                lines.flush()
                assert lines.readline()[:3] == b"+OK", command

    def answer(self, address: str) -> float:
        """All of them do; the seconds it took."""
        began = time.monotonic()
        self.smtp(address, ALICE)
        self.qmqp(address)
        self.pop3(address)
        return time.monotonic() - began


class Host(Clients):
    """The appliance, and its clients."""

    def __init__(self, folder: Path) -> None:
        self.sink = Sink()  # before a flood takes its port for one of its own ends
        self.sink.start()
        super().__init__({name: free_port() for name in ("smtp", "pop3", "qmtp", "qmqp")} | {"sink": self.sink.port})
        done = subprocess.run([PAPERPATH, "password"], input="secret\n", capture_output=True, text=True, check=True)
        self.appliance = Appliance(folder / "host", yaml=YAML.format(hash=done.stdout.strip(), **self.ports))
        self.appliance.port = self.ports["smtp"]
        self.appliance.start()
        health = [PAPERPATH, "health", "--state", self.appliance.state]
        wait_until(lambda: subprocess.run(health, capture_output=True, check=False).returncode == 0, 20, "health")

    def forget_peaks(self) -> dict[str, int]:
        """Resident bytes of each program now; `peaks` counts from here (for who isn't root: from the last peak)."""
        for pid in self.appliance.programs().values():
            with contextlib.suppress(PermissionError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")
        return self.peaks()

    def peaks(self) -> dict[str, int]:
        """Resident bytes of each program at most."""
        found = {}
        for name, pid in self.appliance.programs().items():
            status = Path(f"/proc/{pid}/status").read_text()
            found[name] = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024
        return found


def _more(client: socket.socket, told: bytes) -> bytes:
    data = client.recv(4096)
    assert data, told
    return data


FLOOD = """
import socket, sys
port, address, hold, said = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4].encode()
held = []
print("begun", flush=True)
while True:
    client = socket.socket()
    client.settimeout(5)
    try:
        client.bind((address, 0))
        client.connect(("127.0.0.1", port))
        client.sendall(said)
    except OSError:
        pass
    held.append(client)
    if len(held) > hold:
        held.pop(0).close()
"""


class Flood:
    """A process that connects to a listener as fast as it can, and lets many connections hang."""

    def __init__(self, host: Clients, name: str, address: str = "127.0.0.1", hold: int = 300, said: str = "N") -> None:
        command = [sys.executable, "-c", FLOOD, str(host.ports[name]), address, str(hold), said]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        assert self._process.stdout.readline() == b"begun\n"
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.poll() is None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class Sink(threading.Thread):
    """A next host that takes everything and keeps nothing but how much it was."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self.messages = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):  # whoever is connected leaves when the appliance stops
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        client.sendall(b"220 sink\r\n")
        content, tail = False, b""
        while data := client.recv(1 << 20):
            if content:
                self.bytes += len(data)
                tail = tail[-4:] + data
                if tail.endswith(b"\r\n.\r\n"):
                    content, tail = False, b""
                    self.messages += 1
                    client.sendall(b"250 taken\r\n")
                continue
            for line in data.splitlines():
                content = line.upper() == b"DATA"
                client.sendall(b"354 go on\r\n" if content else b"250 ok\r\n")

    def close(self) -> None:
        self._listener.close()


def free_of(folder: Path) -> None:
    """Remove large files that a test has left."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 1 << 20:
            os.unlink(path)
