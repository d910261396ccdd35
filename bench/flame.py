"""Flame graphs: folded stacks, as py-spy writes them, to one SVG; and the top costs by function.  Pure.

A folded stack is `frame;frame;… count`, a frame `name (file:line)`.  What is below the program's main, and what the C code
of uvloop and Python does between two functions, is left out; what a stack ends in, a system call mostly, stays.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape

_WAITING = frozenset(
    {"epoll_pwait", "epoll_wait", "poll", "select", "clock_nanosleep", "PyThread_acquire_lock_timed", "recv", "accept"}
)  # what a stack ends in, or nearly, when nothing is done
DISK = frozenset({"pwritev64v2", "fsync", "fdatasync", "syncfs"})  # these wait for the disk, and that is their work
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")
_ROUTINE = ("uvloop/", "asyncio/runners.py", "threading.py")

Stack = tuple[str, ...]
Folded = Counter[Stack]


def parse(lines: Iterable[str]) -> Folded:
    """The stacks in which something is done, tidied, with their samples."""
    folded: Folded = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        tidied = tidy(stack.split(";"))
        if tidied:
            folded[tidied] += int(count)
    return folded


def tidy(frames: list[str]) -> Stack:
    """Python functions, then what the last of them called; nothing if that is waiting."""
    found = [_split(frame) for frame in frames]
    begin = max((at + 1 for at, (name, _) in enumerate(found) if name in ("become", "Thread.run")), default=0)
    python = [at for at, (_, file) in enumerate(found) if file.endswith(".py") and at >= begin]
    if not python:
        return ()
    tail = [(name, file) for name, file in found[python[-1] + 1 :] if not name.startswith("0x")]
    if {name for name, _ in tail[-3:]} & _WAITING:
        return ()
    stack = [f"{name} ({file})" for name, file in (found[at] for at in python) if not file.startswith(_ROUTINE)]
    if tail:
        uvloop = any(file == "loop.c" for _, file in tail)
        name, file = tail[-1]
        stack += (["uvloop"] if uvloop else []) + ([name] if file.startswith("libc.so") or not uvloop else [])
    return tuple(stack)


def _split(frame: str) -> tuple[str, str]:
    match = _FRAME.match(frame)
    return (match["name"], match["file"]) if match else (frame, "")


def own(folded: Folded) -> list[tuple[str, float]]:
    """What stacks end in, a system call with who made it, by its part of all samples; most first."""
    costs: Counter[str] = Counter()
    for stack, count in folded.items():
        caller = next((frame for frame in reversed(stack) if frame.endswith(".py)")), "")
        costs[caller if stack[-1] == caller else f"{stack[-1]} < {caller}"] += count
    total = folded.total()
    return [(name, count / total) for name, count in costs.most_common()]


@dataclass
class Node:
    """A function in its place: samples in it and below."""

    count: int = 0
    below: "dict[str, Node]" = field(default_factory=dict)


def tree(folded: Folded) -> Node:
    """All stacks as one tree."""
    root = Node()
    for stack, count in folded.items():
        root.count += count
        node = root
        for frame in stack:
            node = node.below.setdefault(frame, Node())
            node.count += count
    return root


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture: from `left` to `right`, parts of the whole; row 0 is the lowest."""

    frame: str
    left: float
    right: float
    row: int


def boxes(node: Node, least: float = 0.005, left: float = 0.0, row: int = 0, total: int = 0) -> Iterator[Box]:
    """The tree as boxes, those below `least` of the whole left out."""
    total = total or node.count
    for frame, child in sorted(node.below.items()):
        right = left + child.count / total
        if right - left >= least:
            yield Box(frame, left, right, row)
            yield from boxes(child, least, left, row + 1, total)
        left = right


_WIDTH, _ROW, _LETTER, _TOP, _MARGIN = 1200, 18, 6.7, 58, 8
_COLOURS = {"ours": "#f6c28b", "library": "#d5e8b0", "called": "#b5d0ee", "disk": "#d3bfe6"}
_LEGEND = (
    ("ours", "Paperpath"), ("library", "Python's libraries"),
    ("called", "C and system calls"), ("disk", "waits for the disk"),
)  # fmt: skip


def kind(frame: str) -> str:
    """What a frame is, for its colour."""
    if frame in DISK:
        return "disk"
    if not frame.endswith(".py)"):
        return "called"
    return "ours" if "(appliance/" in frame else "library"


def svg(folded: Folded, title: str) -> str:
    """The picture."""
    found = list(boxes(tree(folded)))
    height = _TOP + (max((box.row for box in found), default=0) + 1) * _ROW + _MARGIN
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="11">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
        *_legend(),
        *(_rectangle(box, height - _MARGIN - (box.row + 1) * _ROW) for box in found),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend() -> Iterator[str]:
    for number, (name, text) in enumerate(_LEGEND):
        x = _MARGIN + number * 190
        yield f'<rect x="{x}" y="32" width="12" height="12" fill="{_COLOURS[name]}"/><text x="{x + 18}" y="42">{text}</text>'


def _rectangle(box: Box, y: int) -> str:
    span = _WIDTH - 2 * _MARGIN
    x, width = _MARGIN + box.left * span, (box.right - box.left) * span
    name = _split(box.frame)[0].replace(".<locals>", "")
    shown = _shortened(name, int((width - 6) / _LETTER))
    text = f'<text x="{x + 3:.1f}" y="{y + 13}">{escape(shown)}</text>' if shown else ""
    return (
        f'<g><title>{escape(box.frame)}: {box.right - box.left:.1%}</title><rect x="{x:.1f}" y="{y}" '
        f'width="{max(0.5, width - 0.5):.1f}" height="{_ROW - 1}" fill="{_COLOURS[kind(box.frame)]}"/>{text}</g>'
    )


def _shortened(name: str, room: int) -> str:
    """As much of a name as fits: without its class, then its beginning, then nothing."""
    if len(name) <= room:
        return name
    last = name.rpartition(".")[2]
    return last if len(last) <= room else f"{last[: room - 1]}…" if room > 3 else ""
