"""Is everything there that the active generation asks for, and does it work?

Asks the programs: the queue's admin door who is connected and which configuration it serves, each
SMTP and POP3 port for its greeting, and the kernel which processes the supervisor has.  Imports little, for
a container engine runs this every few seconds.
"""

import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import door, endpoint, netstring
from appliance.control import Control, Generation
from appliance.queue import damaged
from appliance.state import State
from appliance.supervise.programs import PROGRAMS, count, processes

PATIENCE = 3.0  # seconds for each answer
ROOM = 64 * 1024  # bytes that a commit may need
_ANSWER = 1 << 20
# how listeners begin to talk; 421 and -ERR are the answer of one that is busy, not of one that is broken
_GREETINGS = {"SMTP": frozenset({b"220", b"421"}), "POP3": frozenset({b"+OK", b"-ER"})}


@dataclass
class Report:
    """What was found; `problems` are sentences, none if all is well; so are `warnings`, for people."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    configuration: str = ""
    messages: int | None = None
    workers: dict[str, int] = field(default_factory=dict)


def examine(state: State, proc: Path = Path("/proc")) -> Report:
    """Look at everything; never raises for what it finds broken."""
    report = Report()
    try:
        generation = Control(state).current()
        generation.me  # noqa: B018  # a generation that can be read
    except (OSError, LookupError) as cause:
        report.problems.append(f"no configuration is in force in {state.root}; is that the right --state? {cause}")
        return report
    report.configuration = generation.name
    found = _found(state, proc)
    missing = [process.name for process in processes(generation) if found and process.name not in found]
    report.problems.extend(f"{name} is not running" for name in missing)
    report.problems.extend(f"{name} is halted; SIGCONT lets it go on" for name in found if found[name] == "T")
    _ask_queue(state, generation, report, {name.rpartition("-")[0] or name for name in missing})
    report.problems.extend(_disks(state))
    report.warnings.extend(damaged.notes(state.queue))
    listeners = generation.mapping("listen")
    for name, greetings in _GREETINGS.items():
        if where := listeners.get(name.lower().encode()):
            report.problems.extend(_ask(name, where, greetings))
    return report


def _found(state: State, proc: Path) -> dict[str, str]:
    """The supervisor's processes and the letter of their state; none if the kernel does not tell."""
    try:
        supervisor = state.lock.read_text().strip()
        children = (proc / supervisor / "task" / supervisor / "children").read_text().split()
        stats = [(proc / child / "stat").read_text() for child in children]
    except OSError:  # no /proc, another user's process, or one that ended just now: the doors tell the rest
        return {}
    return {stat[stat.index("(") + 1 : stat.rindex(")")]: stat[stat.rindex(")") + 2] for stat in stats}


def _ask_queue(state: State, generation: Generation, report: Report, known: set[str]) -> None:
    """Ping; `known` are programs whose absence is reported already."""
    try:
        answer = ping(state)
        report.messages = int(answer["messages"])
        report.workers = {str(role): int(number) for role, number in answer["workers"].items()}
        serves = answer["configuration"]
        if "short" in answer:
            report.problems.append(f"there is no room for new mail: {answer['short']}")
        if "trouble" in answer:
            report.problems.append(f"the queue can't write: {answer['trouble']}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        report.problems.append(f"the queue does not answer: {cause}")
        return
    if serves != generation.name:
        report.problems.append(f"the queue serves configuration {serves}, and {generation.name} is in force")
    for program in PROGRAMS:
        wanted = count(generation, program)
        connected = report.workers.get(program.name, 0)
        if program.worker and program.name not in known and connected < wanted:
            report.problems.append(f"{program.name}: {connected} of {wanted} connected to the queue")


def _disks(state: State) -> list[str]:
    """A disk that takes nothing stops everything, and the programs that answer can't know it before there is mail."""
    problems = []
    for folder in (state.queue, state.mail):
        try:
            disk = os.statvfs(folder)
        except OSError as cause:
            problems.append(f"{folder}: {cause.strerror}")
            continue
        full = disk.f_bavail * disk.f_frsize < ROOM or (disk.f_files and not disk.f_favail)
        if wrong := "read-only" if disk.f_flag & os.ST_RDONLY else "full" if full else "":
            problems.append(f"the disk of {folder} is {wrong}")
    return problems


def ping(state: State) -> dict[str, Any]:
    """The queue's answer to `ping`. Raises OSError, ValueError."""
    token = door.read_token(state, "admin")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(state.door("admin")))
        connection.sendall(door.hello("admin", token) + netstring.encode(b'{"do": "ping"}'))
        decoder = netstring.Decoder(_ANSWER)
        while True:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("it hung up")
            for frame in decoder.feed(data):
                answer: dict[str, Any] = json.loads(frame)
                return answer


def _ask(name: str, listener: bytes, greetings: frozenset[bytes]) -> list[str]:
    """Greeting and QUIT."""
    where = listener.decode("latin-1")
    try:
        with socket.create_connection(_reachable(listener), PATIENCE) as connection:
            connection.settimeout(PATIENCE)
            greeting = connection.recv(512)
            connection.sendall(b"QUIT\r\n")
            while connection.recv(512):
                pass
    except (OSError, ValueError) as cause:
        return [f"{name} on {where} does not answer: {cause}"]
    return [] if greeting[:3] in greetings else [f"{name} on {where} greets with {greeting[:80]!r}"]


def _reachable(listener: bytes) -> tuple[str, int]:
    """Where to connect to for a listening address: all addresses include loopback."""
    ip, port = endpoint.parse(listener)
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(ip), str(ip)), port  # noqa: S104  # compared, not bound
