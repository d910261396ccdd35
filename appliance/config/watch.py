"""The program `config`: notices that the YAML file changed, and brings it into force.

A file edited in place, replaced by a rename, or reached through links that are swapped (as the
`..data` of a Kubernetes ConfigMap) are all the same to it: something happened in a folder on the
way to the file, or the periodic look finds another file there than before.
"""

import os
import select
import signal
import time
import traceback
from pathlib import Path

from appliance import log, partition, safeio, sandbox
from appliance.config.inotify import Folders
from appliance.control import Control
from appliance.state import State

LOOK = 5.0  # seconds between two looks without any notice (network file systems give none)
QUIET = 0.1  # seconds without a notice before the file is read: an editor writes in steps
QUIET_AT_MOST = 2.0
LINKS_AT_MOST = 40  # as the kernel
CLOCK_TICK = 20_000_000  # nanoseconds; a file's times are those of the kernel's last tick

SCHEMA = Path(__file__).resolve().parents[2] / "schema"
REFUSED = 2
DONE = {0, REFUSED}  # exit statuses of the child that applies: in force, refused


def main(state: State) -> int:
    """Watch until SIGTERM. Raises OSError if there is no configuration to watch."""
    log.setup("config")
    config = Path(os.readlink(state.run / "mail.yaml"))
    watcher = Watcher(config, state)
    state.secrets.mkdir(mode=0o700, exist_ok=True)
    safeio.sync_directory(state.root)
    for sentence in sandbox.lock(partition.config(state, (*watcher.readable, SCHEMA))):
        log.warning(sentence)
    if any(state.root.is_relative_to(folder) for folder in watcher.readable):
        log.warning("this program can read mail and tokens, for the YAML lies above the state folder: separate them")
    log.started(Control(state).current().name)
    watcher.work()
    log.stopped()
    return 0


class Watcher:
    """Follows one YAML file."""

    def __init__(self, config: Path, state: State) -> None:
        self._config = config
        self._state = state
        self._seen: object = "nothing yet"  # so the first look compiles: the file may have changed just before it
        self._refused = False  # the last file that was read
        self._included: Path | None = None  # the file that it includes
        self._folders = Folders()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._signals: set[int] = set()
        self._routing = routing_tables()
        self.readable = readable(config)

    def work(self) -> None:
        """Until SIGTERM, or until the file lies where the sandbox does not let us read."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._signals.add(number))
        while signal.SIGTERM not in self._signals:
            files = [self._config, *([self._included] if self._included else [])]
            self._folders.watch([folder for file in files for folder in folders_to(file)])
            self._wait(LOOK)
            self._settle()
            if not all(
                any(folder.is_relative_to(open_) for open_ in self.readable) for folder in readable(self._config)
            ):
                log.stopping(f"{self._config} lies in another folder now; started again with other rules")
                return
            self._look()

    def _look(self) -> None:
        """Apply the file if it is another one than last time, or if somebody asks."""
        asked = signal.SIGHUP in self._signals
        self._signals.discard(signal.SIGHUP)  # before: one that comes meanwhile asks for another look
        included, began = self._included, time.time_ns()
        now = fingerprint(self._config), included and fingerprint(included)
        if (now != self._seen or asked) and (status := self._apply()) in DONE:
            self._refused = status == REFUSED
            if self._included and self._included != included:  # which nobody looked at before it was read
                now = now[0], fingerprint(self._included)
                if _changed_since(self._included, began - CLOCK_TICK):
                    self._seen = "another file than the one that was read"
                    self._look()
                    return
            self._seen = now

    def _apply(self) -> int:
        """In a child of its own, whose memory goes with it."""
        told, tell = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                from appliance.config import apply  # noqa: PLC0415  # only this child needs the heavy libraries

                status = apply.again(self._config, self._state, self._routing, tell, refused=self._refused)
            except Exception:  # noqa: BLE001  # this is the process's last frame: nothing else would report it
                log.trouble("the YAML could not be brought into force; tried again soon", traceback.format_exc())
            finally:
                log.flush()
                os._exit(status)
        os.close(tell)
        with open(told, "rb") as names:
            included = names.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status in DONE:
            self._included = self._config.parent / included if included else None
        return status

    def _wait(self, seconds: float) -> bool:
        """Sleep until a notice, a signal, or the end of the time; was there anything?"""
        ready, _, _ = select.select([self._folders.fileno(), self._wake], [], [], seconds)
        if self._wake in ready:
            os.read(self._wake, 4096)
        if self._folders.fileno() in ready:
            self._folders.drain()
        return bool(ready)

    def _settle(self) -> None:
        end = time.monotonic() + QUIET_AT_MOST
        while not self._signals and time.monotonic() < end and self._wait(QUIET):
            pass


def routing_tables() -> tuple[str, str]:
    """IPv4's and IPv6's, as the kernel prints them; empty where it does not. The sandbox takes them away."""
    tables = (Path("/proc/net/route"), Path("/proc/net/ipv6_route"))
    ipv4, ipv6 = (table.read_text() if table.exists() else "" for table in tables)
    return ipv4, ipv6


def fingerprint(config: Path) -> object:
    """What tells one file from another without reading it; None if there is none."""
    try:
        about = config.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _changed_since(path: Path, nanoseconds: int) -> bool:
    try:
        return path.stat().st_ctime_ns >= nanoseconds
    except OSError:  # it is gone, and was read
        return True


def readable(config: Path) -> frozenset[Path]:
    """The folders from which the file is read: where it is named and where it lies."""
    return frozenset(folder for folder in (config.parent.resolve(), config.resolve().parent) if folder.is_dir())


def folders_to(config: Path) -> list[Path]:
    """The folders in which a change could make `config` another file: those of its links, and its own."""
    found: list[Path] = []
    current, rest, links = Path("/"), list(config.parts[1:]), 0
    while rest:
        name = rest.pop(0)
        step = current / name
        if name == "..":
            current = current.parent
        elif step.is_symlink() and links < LINKS_AT_MOST:
            found.append(current)
            links += 1
            target = Path(os.readlink(step))
            if target.is_absolute():
                current, rest = Path("/"), [*target.parts[1:], *rest]
            else:
                rest = [*target.parts, *rest]
        else:
            current = step
    return list(dict.fromkeys([*found, current.parent]))
