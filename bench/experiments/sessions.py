"""Many sessions: what idle ones cost, and throughput against the number of active ones (goal 6)."""

import resource
import socket
import time
from contextlib import ExitStack
from statistics import median

from bench.contestant import WithMore
from bench.contestants import paperpath
from bench.experiment import Bench, Goal
from bench.plan import in_turn
from bench.side_by_side import Server, both, one_is_missing
from bench.table import Raw, figure, spread

TITLE = "Many sessions"
SECONDS = 52

_CURVE = (1, 5, 20, 50, 100, 200, 500)
_FEW, _MANY, _IDLE = 20, 500, 2000
_IDLE_SECONDS = 5  # each measured; their median leaves out the moment, 5 s after a start, when the YAML is read again
_MESSAGES = {"paperpath": 3000, "postfix": 500}  # of a load; one session alone sends a quarter
_LONGER = 3  # times so many where connections are reused: to open 500 costs smtp-source more than its first messages
_MORE_MIB, _AS_FAST = 150, 0.8
_LIMITS = "limits: {sessions: 6000, sessions_per_client: 6000}\n"  # all sessions of a benchmark come from one address
_PATIENCE = 10.0  # seconds for a greeting, and for the answer to EHLO


def missing() -> str | None:
    """Why it can't run here."""
    return one_is_missing()


def measure(bench: Bench) -> Raw:
    """The curve, in rounds; then idle sessions, and a load beside them."""
    changed = {"paperpath": WithMore(paperpath, paperpath.CONFIG, lambda _: _LIMITS)}
    curve = (_FEW, _MANY) if bench.quick else _CURVE
    with both(bench, changed) as servers:
        idle = _idle(servers["paperpath"], bench, 200 if bench.quick else _IDLE)
        runs = [
            _run(servers[name], sessions, bench)
            for number in range(3 if bench.long else 1)
            for sessions in curve
            for name in in_turn(list(servers), number)
        ]
        if not bench.quick:  # the two that a goal is about: three rounds of them
            runs += [_run(servers["paperpath"], sessions, bench) for sessions in (_FEW, _MANY) * 2]
        runs += [_run(servers["paperpath"], n, bench, reuse=True) for n in (_FEW, _MANY) * (1 if bench.quick else 2)]
    return {"idle": idle, "runs": runs}


def _run(server: Server, sessions: int, bench: Bench, *, reuse: bool = False) -> Raw:
    messages = _MESSAGES[server.name] // (4 if bench.quick or sessions == 1 else 1) * (_LONGER if reuse else 1)
    run = server.load(messages, sessions=sessions, reuse=reuse)
    way = "reused" if reuse else ""
    bench.say(f"sessions {sessions:4} {server.name:10} {way} {run['problem'] or figure(run['rate']) + '/s'}")
    return run


def _idle(server: Server, bench: Bench, wanted: int) -> Raw:
    """Open sessions that say EHLO and stay; memory before, in a fresh server, and beside them; a load's rate with and without them."""
    _allow_files(wanted + 1000)
    before = server.tree.memory()
    with ExitStack() as stack:
        began = time.monotonic()
        greeted = _greeted(stack, server.port, wanted)
        seconds = time.monotonic() - began
        time.sleep(bench.settings.settle)
        beside = server.tree.memory()
        cpu = median(_cpu_in_a_second(server) for _ in range(_IDLE_SECONDS))
        loaded = _run(server, _FEW, bench)
    alone = _run(server, _FEW, bench)
    bench.say(f"sessions {greeted} idle: {(beside - before) / 2**20:+.1f} MiB")
    return {
        "wanted": wanted,
        "greeted": greeted,
        "seconds": seconds,
        "before_bytes": before,
        "bytes": beside,
        "cpu_per_second": cpu,
        "alone": alone,
        "beside": loaded,
    }


def _cpu_in_a_second(server: Server) -> float:
    before, began = server.tree.cpu_seconds(), time.monotonic()
    time.sleep(1)
    return (server.tree.cpu_seconds() - before) / (time.monotonic() - began)


def _greeted(stack: ExitStack, port: int, wanted: int) -> int:
    """Open so many sessions, the stack closes them; the number of those that were served."""
    greeted = 0
    for _ in range(wanted):
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE))
        if sock.recv(512).startswith(b"220"):
            sock.sendall(b"EHLO client.example\r\n")
            greeted += sock.recv(1024).startswith(b"250")
    return greeted


def _allow_files(count: int) -> None:
    """Let this process, and those it starts, have so many files open. Raises RuntimeError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        raise RuntimeError(f"{count} sessions need as many open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def table(raw: Raw) -> str:
    """Throughput against sessions, and a paragraph about the idle ones."""
    rows = ["| active sessions | Paperpath: messages/s | Postfix: messages/s |", "| --- | --- | --- |"]
    for sessions in sorted({run["sessions"] for run in raw["runs"]}):
        cells = (_text(_rates(raw, name, sessions, reuse=False)) for name in ("paperpath", "postfix"))
        rows.append(f"| {sessions} | " + " | ".join(cells) + " |")
    reused = [f"{_text(_rates(raw, 'paperpath', sessions, reuse=True))} with {sessions}" for sessions in (_FEW, _MANY)]
    idle = raw["idle"]
    about = (
        f"A connection each; Paperpath with connections reused: {', '.join(reused)}. "
        "Postfix serves as many at a time as its default process limit allows, 100; the others wait to be accepted."
    )
    cost = (
        f"{idle['greeted']:,} idle sessions, opened in {idle['seconds']:.1f} s: "
        f"{(idle['bytes'] - idle['before_bytes']) / 2**20:+.1f} MiB (PSS), {idle['cpu_per_second']:.1%} of a core. "
        f"{_FEW} active ones beside them: {_text(_ok(idle['beside']))} messages/s; then without them: {_text(_ok(idle['alone']))}."
    )
    return "\n".join([*rows, "", about, "", cost])


def goals(raw: Raw) -> list[Goal]:
    """Goal 6."""
    idle = raw["idle"]
    more = (idle["bytes"] - idle["before_bytes"]) / 2**20
    ok = more < _MORE_MIB and idle["greeted"] == idle["wanted"]
    reached = f"{more:.0f} MiB" + ("" if idle["greeted"] == idle["wanted"] else f", only {idle['greeted']} were served")
    found = [Goal(6, f"{idle['wanted']:,} idle sessions in below {_MORE_MIB} MiB more", reached, ok)]
    for reuse, way in ((False, "a connection each"), (True, "connections reused")):
        few, many = (_rates(raw, "paperpath", sessions, reuse=reuse) for sessions in (_FEW, _MANY))
        if few and many:
            part = median(many) / median(few)
            asked = f"{_MANY} active sessions, {way}: at least {_AS_FAST:.0%} of the throughput with {_FEW}"
            found.append(Goal(6, asked, f"{part:.0%}", part >= _AS_FAST))
    return found


def _rates(raw: Raw, name: str, sessions: int, *, reuse: bool) -> list[float]:
    chosen = (name, sessions, reuse)
    runs = [run for run in raw["runs"] if (run["server"], run["sessions"], run["reuse"]) == chosen]
    return [rate for run in runs for rate in _ok(run)]


def _ok(run: Raw) -> list[float]:
    return [] if run["problem"] else [run["rate"]]


def _text(rates: list[float]) -> str:
    if not rates:
        return "did not come to an end"
    return figure(median(rates)) + (f" ±{spread(rates):.0%}" if len(rates) > 1 else "")
