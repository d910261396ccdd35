"""`paperpath sandbox`: who may touch what, as this machine enforces it for the configuration in force."""

import argparse
import json
import os
import platform
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from appliance import calls, endpoint, partition, sandbox
from appliance.cli import state_option
from appliance.control import Control, Generation
from appliance.launcher import limits, reach
from appliance.sandbox import Rules
from appliance.state import State
from appliance.supervise.main import yaml_link
from appliance.supervise.programs import processes

HELP = "Who may touch what: the files, ports and system calls of each program, as this machine enforces them, and what it can't."
NOT = 1  # exit status: nothing is in force in this state folder

# what a system call filter decides, and a call that shows it
DECIDED: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("start programs", "execve", ()),
    ("fork", "clone", (signal.SIGCHLD,)),
    ("send signals", "kill", ()),
    ("look into other processes", "ptrace", ()),
    ("set others' limits", "prlimit64", (1,)),
    ("change modes and owners", "fchmodat", ()),
    ("open Unix sockets", "socket", (socket.AF_UNIX, socket.SOCK_STREAM)),
    ("open TCP sockets", "socket", (socket.AF_INET, socket.SOCK_STREAM)),
    ("open UDP sockets", "socket", (socket.AF_INET, socket.SOCK_DGRAM)),
    ("open other sockets", "socket", (socket.AF_PACKET, socket.SOCK_RAW)),
    ("begin to listen", "listen", ()),
    ("run code that it has written", "mprotect", (0, 0, 4)),
    ("mount or enter namespaces", "unshare", ()),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    state_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line: the machine, then each program")


def run(args: argparse.Namespace) -> int:
    state = State(args.state.resolve())
    try:
        rows = list(partitions(state, Control(state).current()))
    except (OSError, LookupError, ValueError) as cause:
        print(f"no configuration is in force in {state.root}; is that the right --state? {cause}", file=sys.stderr)
        return NOT
    lacking = [*sandbox.missing(sandbox.kernel_abi()), *calls.missing()]
    if args.json:
        machine = {"landlock": sandbox.kernel_abi(), "machine": platform.machine(), "lacks": lacking}
        print(json.dumps({**machine, "everybody_reads": sandbox.everybody_reads()}))
        for name, rules in rows:
            print(json.dumps({"program": name, **described(rules)}))
        return 0
    print(f"Landlock {sandbox.kernel_abi()}, system calls of {platform.machine()}")
    print("\n".join(f"LACKING: {sentence}" for sentence in lacking) or "this machine enforces all of it")
    print("everybody reads Python's own folders, and what the resolver and TLS need: --json lists them")
    for name, rules in rows:
        print(f"\n{name}")
        for right, value in described(rules).items():
            words = [str(each) for each in value] if isinstance(value, list) else [value or "-"]
            print(f"    {right:9} {', '.join(words) or '-'}")
    return 0


def partitions(state: State, generation: Generation) -> Iterator[tuple[str, Rules]]:
    """The row of each program that the generation asks for. Raises OSError, LookupError, ValueError."""
    from appliance.config.watch import SCHEMA, readable  # noqa: PLC0415  # heavy: `paperpath help` does without
    from appliance.pop3d.settings import Settings as Pop3dSettings  # noqa: PLC0415
    from appliance.remote.main import ports  # noqa: PLC0415
    from appliance.remote.settings import Settings as RemoteSettings  # noqa: PLC0415

    listeners = {name: endpoint.parse(where)[1] for name, where in generation.mapping("listen").items()}
    homes = limits.networked(generation)
    network = bool(homes)
    running = {process.program.name for process in processes(generation)}
    if "smtpd" in running:
        yield "smtpd", partition.receiving(state, [listeners[b"smtp"]])
    if "qmtpd" in running:
        yield "qmtpd", partition.receiving(state, [listeners[name] for name in (b"qmtp", b"qmqp") if name in listeners])
    yield "queue", partition.queue(state)
    yield "local", partition.local(state)
    yield "launcher", reach.around(state, network)
    for who, may in (("a mailbox's program", False), *([("one with network", True)] if network else [])):
        home, scratch = state.mail / "DOMAIN" / "MAILBOX", state.scratch / "PID"
        yield who, reach.of_a_program(state, home, scratch, generation.folder / "control", may, proc=False)
    yield "remote", partition.remote(state, ports(RemoteSettings.of(generation)))
    if "pop3d" in running:
        yield "pop3d", partition.pop3d(state, listeners[b"pop3"], Pop3dSettings(generation).folders)
    yield "config", partition.config(state, (*readable(Path(os.readlink(yaml_link(state)))), SCHEMA))


def described(rules: Rules) -> dict[str, list[str] | list[int] | str]:
    """A row in words."""
    may = [what for what, call, given in DECIDED if rules.calls is None or rules.calls.allow(call, *given)]
    return {
        "reads": [str(path) for path in rules.read],
        "writes": [str(path) for path in rules.write],
        "executes": [str(path) for path in rules.execute],
        "listens": list(rules.bind),
        "connects": "every port" if rules.connect is None else list(rules.connect),
        "may": may,
        "may not": [what for what, _, _ in DECIDED if what not in may],
    }
