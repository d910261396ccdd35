"""The table of programs: what runs, how many of each, in which order. Pure.

They start in the order of their stages and stop in the reverse order, so that nothing comes in
any more when the queue stops.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.control import Generation


@dataclass(frozen=True, slots=True)
class Program:
    """A row of the table.

    name     its folder, its role at the queue's doors, its name in the log
    module   has `main(state) -> int`
    stage    started in this order; a stage stops when all later ones have stopped
    several  control/processes may ask for more than one (the queue's database has one owner)
    serves   names of control/listen; it runs only if one of them is there
    pinned   control files that its sandbox is made from: it is restarted when they change
    worker   it holds a connection to the queue, which the queue's `ping` counts
    """

    name: str
    module: str
    stage: int
    several: bool = False
    serves: frozenset[str] = frozenset()
    pinned: tuple[str, ...] = ()
    worker: bool = True


PROGRAMS = (
    Program("queue", "appliance.queue.main", 1, worker=False),
    Program("launcher", "appliance.launcher.main", 1, pinned=("programnetwork",), worker=False),
    Program("local", "appliance.local.main", 2, several=True),
    Program("remote", "appliance.remote.main", 2, several=True, pinned=("smtproutes", "qmtproutes")),
    Program("smtpd", "appliance.smtpd.main", 3, several=True, serves=frozenset({"smtp"}), pinned=("listen",)),
    Program(
        "pop3d",
        "appliance.pop3d.main",
        3,
        serves=frozenset({"pop3"}),
        pinned=("listen", "secretfolders"),
        worker=False,
    ),
    Program("qmtpd", "appliance.qmtpd.main", 3, serves=frozenset({"qmtp", "qmqp"}), pinned=("listen",), worker=False),
    Program("config", "appliance.config.watch", 3, worker=False),
)


# the names of control/listen that some program serves so far
SERVED = frozenset[str]().union(*(program.serves for program in PROGRAMS))


@dataclass(frozen=True, slots=True)
class Process:
    """One process to keep running; a process whose description changes is restarted."""

    name: str
    program: Program
    pinned: tuple[bytes | None, ...]


def processes(generation: Generation, programs: Iterable[Program] = PROGRAMS) -> list[Process]:
    """The processes that a generation asks for, in the order of their start. Raises OSError."""
    wanted: list[Process] = []
    for program in sorted(programs, key=lambda program: program.stage):
        pinned = tuple(generation.read(name) for name in program.pinned)
        names = [f"{program.name}-{number}" for number in range(1, count(generation, program) + 1)]
        wanted.extend(Process(name if program.several else program.name, program, pinned) for name in names)
    return wanted


def count(generation: Generation, program: Program) -> int:
    """How many processes of a program; a number that is none counts as 1. Raises OSError."""
    if program.serves and not program.serves & {name.decode("latin-1") for name in generation.mapping("listen")}:
        return 0
    return generation.processes(program.name) if program.several else 1
