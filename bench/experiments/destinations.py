"""A hundred destinations of which fifty hang: whether the other fifty get their mail as fast as alone (goal 8)."""

import threading
import time
from collections.abc import Sequence
from statistics import mean, median

from bench.cell import running
from bench.contestant import Contestant, Place, WithMore
from bench.contestants import paperpath
from bench.experiment import Bench, Goal
from bench.many_hosts import Manner, ManyHosts
from bench.many_senders import send
from bench.plan import in_turn
from bench.table import Raw, figure

TITLE = "Destinations that hang"
SECONDS = 60

_GOOD, _OTHERS = 50, 50
_EACH = 80  # messages for each destination
_ROUNDS, _LONG_ROUNDS = 3, 9
_ALONE, _BESIDE, _MIXED, _FIRST = (
    "alone",
    "beside 50 that answer",
    "beside 50 that hang",
    "after the mail for 50 that hang",
)
_WAYS = [_ALONE, _BESIDE, _MIXED, _FIRST]
_TAKES: list[Manner] = ["takes"] * _GOOD
_HANGS: list[Manner] = ["mute", "full"] * (_OTHERS // 2)
_PATIENCE = 15.0  # seconds without a message for a good destination
_REFUSING, _REFUSED = 10, 20  # destinations that refuse, messages for each of them
_INTERVAL = 0.3  # seconds between one message for each of those and the next
_AS_FAST = 0.9
_MOST_EACH, _MOST_HANGING = 20, 2  # connections at a time that a destination may see; one that hangs


def _routed(destinations: int) -> Contestant:
    """Paperpath with a route for each destination."""

    def routes(place: Place) -> str:  # its YAML ends with the list of routes
        return "".join(
            f'  - {{domain: {_domain(number)}, via: "smtp://{ManyHosts.address(number)}:{place.sink_port}"}}\n'
            for number in range(destinations)
        )

    return WithMore(paperpath, paperpath.CONFIG, routes)


def _domain(number: int) -> str:
    return f"d{number}.example"


def missing() -> str | None:
    """Why it can't run here."""
    return paperpath.missing()


def measure(bench: Bench) -> Raw:
    """Seconds until all mail for the good ones has arrived, of each way; and what the hosts saw."""
    raw: Raw = {"each": _EACH // (4 if bench.quick else 1), "runs": [], "refused": None}
    rounds = 1 if bench.quick else _LONG_ROUNDS if bench.long else _ROUNDS
    for number in range(rounds):
        for way in in_turn(_WAYS, number):
            run = _run(bench, way, raw["each"], number)
            raw["runs"].append(run)
            bench.say(f"destinations: {way}: {run['seconds']:.2f} s")
    raw["refused"] = _refused(bench)
    return raw


def _order(way: str, each: int) -> tuple[list[int], list[int]]:
    """Destinations of the messages that are sent before the clock runs, and of those after."""
    good, others = list(range(_GOOD)), list(range(_GOOD, _GOOD + _OTHERS))
    if way == _ALONE:
        return [], good * each
    if way == _FIRST:
        return others * each, good * each
    return [], [number for pair in zip(others, good, strict=True) for number in pair] * each


def _run(bench: Bench, way: str, each: int, number: int) -> Raw:
    """One way, in a fresh state. Raises RuntimeError if the mail for the good ones stands still."""
    manners = _TAKES + {_ALONE: [], _BESIDE: _TAKES}.get(way, _HANGS)
    before, order = _order(way, each)
    port, good = bench.ports.take(), range(_GOOD)
    folder = bench.folder / f"{number}-{_WAYS.index(way)}"
    with (
        ManyHosts(manners, port + 1) as hosts,
        running(_routed(len(manners)), folder, "relay", port, bench.settings.settle),
    ):
        send(port, _recipients(before))
        time.sleep(bench.settings.settle)  # to keep it on disk is a cost of the mail, not of the hosts
        seconds = _deliver(port, _recipients(order), hosts, each * _GOOD)
        seen = [hosts.seen(number) for number in good]
        hanging = [hosts.seen(number) for number in range(_GOOD, len(manners)) if manners[number] == "mute"]
    return {
        "way": way,
        "seconds": seconds,
        "messages_a_connection": mean(host.messages / max(1, host.connections) for host in seen),
        "most_at_once": max(host.most for host in seen),
        "hanging_most_at_once": max((host.most for host in hanging), default=None),
        "hanging_connections": max((host.connections for host in hanging), default=None),
    }


def _recipients(numbers: Sequence[int]) -> list[str]:
    return [f"user@{_domain(number)}" for number in numbers]


def _deliver(port: int, recipients: Sequence[str], hosts: ManyHosts, wanted: int) -> float:
    """Seconds from the first message sent until all for the good destinations have arrived."""
    problems: list[str] = []

    def work() -> None:
        try:
            send(port, recipients)
        except RuntimeError as error:
            problems.append(str(error))

    sender = threading.Thread(target=work)
    began = last = time.monotonic()
    sender.start()
    count = 0
    while count < wanted:
        seen = sum(hosts.seen(number).messages for number in range(_GOOD))
        now = time.monotonic()
        if seen > count:
            count, last = seen, now
        if now - last > _PATIENCE or problems:
            raise RuntimeError(problems[0] if problems else f"stalled: {count} of {wanted} arrived")
        time.sleep(0.005)
    sender.join()
    return last - began


def _refused(bench: Bench) -> Raw:
    """How often a destination that refuses is asked, while mail for it keeps coming."""
    port, each = bench.ports.take(), 5 if bench.quick else _REFUSED
    began = time.monotonic()
    with (
        ManyHosts(["refuses"] * _REFUSING, port + 1) as hosts,
        running(_routed(_REFUSING), bench.folder / "refusing", "relay", port, bench.settings.settle),
    ):
        for _ in range(each):
            send(port, _recipients(range(_REFUSING)))
            time.sleep(_INTERVAL)
        seconds = time.monotonic() - began
        connections = mean(hosts.seen(number).connections for number in range(_REFUSING))
    return {"messages": each, "connections": connections, "seconds": seconds}


def _seconds(raw: Raw, way: str) -> float:
    found: float = median(run["seconds"] for run in raw["runs"] if run["way"] == way)
    return found


def _worst(raw: Raw, key: str) -> int:
    found: int = max(run[key] for run in raw["runs"] if run[key] is not None)
    return found


def table(raw: Raw) -> str:
    """A row for each way, and a line about connections."""
    rows = [f"| {way} | {figure(_seconds(raw, way))} |" for way in _WAYS]
    head = (
        f"{raw['each']} messages for each of {_GOOD} destinations, at the default limit of 20 connections. Of those that "
        "hang, half accept the connection and say nothing, half do not even accept it; they get as many messages.\n\n"
        "| the mail for the 50 good ones | s, median |\n| --- | --- |\n"
    )
    refused = raw["refused"]
    seen = (
        f"\n\nA good destination got {mean(run['messages_a_connection'] for run in raw['runs']):.1f} messages a connection "
        f"and saw at most {_worst(raw, 'most_at_once')} connections at once; one that hangs saw "
        f"{_worst(raw, 'hanging_connections')}. One that refuses each connection with 421 was asked "
        f"{refused['connections']:.1f} times in {refused['seconds']:.0f} s, in which {refused['messages']} messages came for it."
    )
    return head + "\n".join(rows) + seen


def goals(raw: Raw) -> list[Goal]:
    """Goal 8: beside hanging ones against beside as many that answer; after their mail against alone."""
    found = []
    for way, base in ((_MIXED, _BESIDE), (_FIRST, _ALONE)):
        speed = _seconds(raw, base) / _seconds(raw, way)
        asked = f"mail for 50 destinations, {way}: as fast as {base}"
        found.append(Goal(8, asked, f"{speed * 100:.0f} %", speed >= _AS_FAST))
    reuse = min(run["messages_a_connection"] for run in raw["runs"])
    most, hanging, refused = _worst(raw, "most_at_once"), _worst(raw, "hanging_most_at_once"), raw["refused"]
    ok = (
        reuse > 1
        and most <= _MOST_EACH
        and hanging <= _MOST_HANGING
        and refused["connections"] < refused["messages"] / 2
    )
    said = (
        f"{reuse:.1f} messages a connection, at most {most} at once; {refused['connections']:.1f} attempts "
        f"for {refused['messages']} messages"
    )
    return [*found, Goal(8, "connections are reused, limited, backed off", said, ok)]
