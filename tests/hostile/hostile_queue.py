"""A queue under attack: what it costs, and whether it serves its honest neighbours meanwhile."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "queue"))
from queue_parts import make_state
from queue_process import PROGRAM, Caller, Running

from appliance import door, intake, lease, netstring
from appliance.errors import Result

DONE = [lease.Report(Result.DONE, b"ok")]
SENDER = b"bob@elsewhere.example"
ALICE, CAROL = b"alice@example.org", b"carol@remote.example"  # one of ours, one of another host
ATTENTION = 30.0  # seconds within which an honest neighbour is served; a quiet machine needs some milliseconds
MEMORY = 128 * 1024 * 1024  # bytes that an attack may cost


def letter(to: bytes = ALICE, content: bytes = b"Subject: x\n\ntext\n") -> bytes:
    """A small message's frame."""
    return intake.request(SENDER, [to], content)


class Queue(Running):
    """The queue program; `environment` makes it a mutant."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, attention: float = ATTENTION, **control: str
    ) -> None:
        self._environment, self._attention = environment, attention
        super().__init__(make_state(folder / "state", **control))

    def start(self) -> None:
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(self.state.root)], stdout=log, env=self._environment
            )
        self.wait_for(lambda: self.events("started"))

    def stranger(self, name: str, said: bytes = b"") -> Caller:
        """A connection without a hello."""
        caller = self.caller(name, "", said)
        caller.socket.settimeout(self._attention)
        return caller

    def enter(self, name: str, role: str, *, token: str | None = None) -> Caller:
        """A connection at a door, with the token of a role."""
        caller = Caller(self.state, name, role, door.hello(role, door.read_token(self.state, token or role)))
        caller.socket.settimeout(self._attention)
        return caller

    def serves(self) -> float:
        """An honest message comes in by smtpd, goes out to `local`, and the health check is answered; the seconds."""
        began = time.monotonic()
        with self.enter("intake", "smtpd") as client, self.enter("lease", "local") as worker:
            client.say(letter())
            assert client.hear()[:1] == b"K"
            worker.say(lease.encode_credit(1))
            delivery = lease.decode_delivery(worker.hear())
            worker.say(lease.encode_report(delivery.id, DONE))
        with self.enter("admin", "admin") as admin:
            assert "messages" in admin.ask(do="ping")[0]
        took = time.monotonic() - began
        assert took < ATTENTION
        return took

    def empty(self, role: str = "local") -> None:
        """Deliver what an attack has left, whatever it is."""
        with self.enter("lease", role) as worker:
            worker.socket.settimeout(1.0)
            worker.say(lease.encode_credit(10_000))
            with contextlib.suppress(TimeoutError):
                while frame := worker.hear():
                    delivery = lease.decode_delivery(frame)
                    worker.say(lease.encode_report(delivery.id, DONE * len(delivery.recipients)))

    @property
    def descriptors(self) -> int:
        """How many it has open; 0 for who isn't root: only root sees those of a program that is locked in."""
        try:
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except PermissionError:
            return 0

    def forget_peak(self) -> int:
        """Resident bytes now; `memory` counts from here (for who isn't root: from its last peak)."""
        with contextlib.suppress(PermissionError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.memory()

    def memory(self) -> int:
        """Resident bytes at most since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def closed(caller: Caller, seconds: float = 0.0) -> bool:
    """Whether the queue has ended a connection, after what it had to say."""
    if seconds:
        caller.socket.settimeout(seconds)
    try:
        while caller.socket.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def pour(caller: Caller, data: bytes, seconds: float = 1.0, in_all: float = 60.0) -> int:
    """Say it without hearing anything, until it is said, or the queue does not listen for so long, or time is up; bytes."""
    attention = caller.socket.gettimeout()
    caller.socket.settimeout(seconds)
    view, said = memoryview(data), 0
    with contextlib.suppress(OSError):
        end = time.monotonic() + in_all
        while said < len(data) and time.monotonic() < end:
            said += caller.socket.send(view[said : said + (1 << 16)])
    caller.socket.settimeout(attention)
    return said


def deaf(queue: Queue, caller: Caller, data: bytes) -> bool:
    """Whether the queue ends listening before all is said: it hears no byte while it serves somebody else."""
    said = 0
    while said < len(data):
        more = pour(caller, data[said:], 0.3)
        if not more:
            queue.serves()
            more = pour(caller, data[said:], 0.3)
            if not more:
                return True
        said += more
    return False


def unfinished(size: int, sent: int) -> bytes:
    """The beginning of a frame."""
    return b"%d:" % size + b"F" * sent


def frame(payload: bytes) -> bytes:
    return netstring.encode(payload)
