"""A running Paperpath without its supervisor: each program is watched, and started again when it ends."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crash_host import NextHost
from crash_reader import PASSWORD
from crash_watch import Point, Watch

sys.path.append(str(Path(__file__).resolve().parent.parent / "parts"))
from ports import free_port

from appliance import door, netstring, password
from appliance.config.activate import activate
from appliance.config.pipeline import compile_files, read
from appliance.state import State

HERE = Path(__file__).resolve().parent
PROGRAMS = ("queue", "launcher", "local", "remote", "smtpd", "qmtpd", "pop3d", "config")
COMMAND = "inject"  # sendmail and qmail-queue
PATIENCE = 60.0  # seconds until something that must happen has not happened
QUIET = 0.02  # seconds without a call, while nobody works, after which a scene is over
STEP = 0.002

YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {smtp}}}
  qmtp: {{address: 127.0.0.1, port: {qmtp}}}
  pop3: {{address: 127.0.0.1, port: {pop3}}}
bounces: {{report_after: 1s, delay_notice: 1s}}
domains:
  example.org:
    mailboxes:
      alice: {{}}
      bob: {{}}
      postmaster: {{}}
      reader: {{password: "{hash}"}}
      mabel: {{deliver: ["./Mailbox"]}}
      prog: {{deliver: ["|cat >new.$$ && mv new.$$ got.$$"]}}
{more}
    aliases:
      team: [alice, bob]
relay: {{allow_from: [127.0.0.1/32]}}
routes:
  - {{domain: partner.example, via: "smtp://127.0.0.1:{host.port}"}}
  - {{domain: quick.example, via: "qmtp://127.0.0.1:{host.qmtp}"}}
"""


class Stuck(AssertionError):
    """Something that must happen did not."""


class World:
    """The programs at work on a state folder of their own.

    environment: of the programs; that of a Mutant for programs with a guarantee taken out.  patience: seconds until
    something that must happen has not happened.
    """

    def __init__(self, folder: Path, environment: dict[str, str] | None = None, patience: float = PATIENCE) -> None:
        self.folder = folder
        self.patience = PATIENCE  # for the start
        self.state = State(folder / "state")
        self.yaml = folder / "config" / "mail.yaml"
        self.log_path = folder / "log"
        self.host = NextHost()
        self.smtp, self.qmtp, self.pop3 = free_port(), free_port(), free_port()
        self._hash = password.make(PASSWORD.encode())
        self.watches = {name: Watch(name, str(self.state.root)) for name in (*PROGRAMS, COMMAND)}
        self.armed: Watch | None = None
        self.pids: dict[str, int] = {}
        self.wanted = set(PROGRAMS)
        self._environment = environment or dict(os.environ)
        self._asking = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._events: list[dict[str, Any]] = []
        self._read = 0
        self._prepare()
        self._open_stage()
        for name in PROGRAMS:
            self.start(name)
        self.until(self.ready, "all programs at work")
        self.patience = patience

    def _prepare(self) -> None:
        for path in (self.yaml.parent, self.state.run, self.state.queue, self.state.mail):
            path.mkdir(parents=True, mode=0o700)
        self.configure()
        (self.state.run / "mail.yaml").symlink_to(self.yaml)
        activate(compile_files(read(self.yaml)), self.state)
        door.make_tokens(self.state)

    def configure(self, more: str = "") -> None:
        """Replace the YAML in one step; more: lines of further mailboxes."""
        new = self.yaml.with_suffix(".new")
        ports = {"smtp": self.smtp, "qmtp": self.qmtp, "pop3": self.pop3}
        new.write_text(YAML.format(**ports, hash=self._hash, host=self.host, more=more))
        new.replace(self.yaml)

    def _open_stage(self) -> None:
        self._stage, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, HERE / "crash_stage.py", self.state.root, str(theirs.fileno())]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()

    def close(self) -> None:
        """Everything ends, and nothing is left."""
        self.wanted.clear()
        self._stage.close()
        self._process.wait()  # the programs die with it
        self.host.close()
        for thread in self._threads:
            thread.join(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- processes ----------------------------------------------------------------------

    def start(self, name: str) -> None:
        self.pids[name] = self._ask(name, {"start": name})

    def run(self, command: str, words: list[str], files: list[Path]) -> int:
        """A command's exit status; negative if a signal ended it."""
        return self._wait(self._ask(COMMAND, {"run": command, "words": words, "files": list(map(str, files))}))

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a program; it is started again only if it is wanted."""
        with contextlib.suppress(ProcessLookupError):  # the armed kill came first
            os.kill(self.pids[name], number)

    def _ask(self, name: str, request: dict[str, Any]) -> int:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, self._asking:
                socket.send_fds(self._stage, [json.dumps(request).encode()], [theirs.fileno()])
                pid = int(json.loads(self._stage.recv(100)))
            _, [listener], _, _ = socket.recv_fds(ours, 20, 1)
        thread = threading.Thread(
            target=self.watches[name].serve, args=(pid, listener, lambda: self._ended(name, pid)), daemon=True
        )
        thread.start()
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        return pid

    def _wait(self, pid: int) -> int:
        pidfd = os.pidfd_open(pid)
        try:
            if not select.select([pidfd], [], [], PATIENCE * 3)[0]:
                raise Stuck("a process that should have ended goes on")
        finally:
            os.close(pidfd)
        with self._asking:
            self._stage.send(json.dumps({"end": pid}).encode())
            return int(json.loads(self._stage.recv(100)))

    def _ended(self, name: str, pid: int) -> None:
        """As the supervisor does: what has ended is started again."""
        if name == COMMAND:
            return
        again = name in self.wanted  # asked first: as soon as it is buried, a scene may start it by itself
        try:
            self._wait(pid)
            if again and name in self.wanted:
                self.start(name)
        except (OSError, ValueError):  # the stage has ended, and says nothing
            return

    # -- what is going on ---------------------------------------------------------------

    def arm(self, program: str, number: int, kind: Point | None = None) -> None:
        """Kill this program before its call of this number, or of this kind and number; 0: only count the calls of all."""
        for watch in self.watches.values():
            watch.arm(0)
        self.armed = self.watches[program] if number else None
        if self.armed:
            self.armed.arm(number, kind)

    @property
    def killed(self) -> bool:
        return self.armed is not None and self.armed.killed.is_set()

    def until(self, condition: Callable[[], object], what: str, *, or_killed: bool = False) -> bool:
        """Wait for a condition, or for the kill; False if it was the kill. Raises Stuck."""
        end = time.monotonic() + self.patience
        while not condition():
            if or_killed and self.killed:
                return False
            if time.monotonic() > end:
                raise Stuck(f"waited in vain for {what}; the log ends: {self.log_path.read_text()[-2000:]}")
            time.sleep(STEP)
        return True

    def quiet(self) -> bool:
        """No program has changed anything for a moment, or is about to: none waits for a processor or the disk."""
        latest = max(watch.latest for watch in self.watches.values())
        return time.monotonic() - latest > QUIET and not any(map(_works, self.pids.values()))

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of one event since the last `clean`."""
        with self.log_path.open("rb") as log:
            log.seek(self._read)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._read += len(whole + newline)
        self._events += [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return [event for event in self._events if event["event"] == name]

    def forget(self) -> None:
        """The events so far do not matter any more, but for who has started."""
        self._events = [event for event in self.events("started") if event["pid"] in self.pids.values()]

    def ready(self) -> bool:
        """Every program has said that it has started, the killed one anew, and the queue sees its workers."""
        if any(self.watches[name].victim == pid for name, pid in self.pids.items()):
            return False
        started = {event["pid"] for event in self.events("started")}
        workers = self.ping()["workers"]  # smtpd connects with its next message
        return started.issuperset(self.pids.values()) and bool(workers["local"] and workers["remote"])

    def admin(self, verb: str, **more: str) -> list[dict[str, Any]] | None:
        """The queue's answer; None if there is none now."""
        decoder, items = netstring.Decoder(1 << 26), []
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(str(self.state.door("admin")))
                hello = door.hello("admin", door.read_token(self.state, "admin"))
                connection.sendall(hello + netstring.encode(json.dumps({"do": verb, **more}).encode()))
                while data := connection.recv(1 << 16):
                    for frame in decoder.feed(data):
                        if not frame:
                            return items
                        items.append(json.loads(frame))
        except OSError:
            return None
        return None

    def ping(self) -> dict[str, Any]:
        return next(iter(self.admin("ping") or []), {"workers": {"local": 0, "remote": 0}, "messages": -1})


def _works(pid: int) -> bool:
    """Whether a thread of this process or of its descendants is running, ready to run or waiting for the disk."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended, or this kernel lists no children
        for task in Path(f"/proc/{pid}/task").iterdir():
            if (task / "stat").read_text().rpartition(")")[2].split()[0] in "RD":
                return True
            if any(_works(int(child)) for child in (task / "children").read_text().split()):
                return True
    return False
