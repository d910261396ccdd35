"""What came of the runs: outcomes, and the table of points by program and call."""

import collections
import dataclasses
import json

from crash_duplicates import allowed
from crash_letters import Item
from crash_watch import Point


@dataclasses.dataclass
class Outcome:
    """One run: where the kill came, if at all, and what was wrong in the end."""

    scene: str
    program: str
    number: int
    point: Point | None = None
    seconds: float = 0.0
    surplus: list[Item] = dataclasses.field(default_factory=list)
    lost: str = ""

    @property
    def unexplained(self) -> list[Item]:
        """What is there twice, or in part, and must not be after a kill at this point."""
        return [item for item in self.surplus if self.point is None or not allowed(self.point, item)]

    @property
    def wrong(self) -> str:
        """What the proof fails for; empty if nothing."""
        return self.lost or ", ".join(f"surplus: {item}" for item in self.unexplained)

    def __str__(self) -> str:
        where = " ".join(self.point) if self.point else "no kill"
        return f"{self.scene}, {self.program} {self.number} ({where}): {self.wrong or 'right'}"


_HEAD = ("program", "call", "on", "points", "with duplicates", "lost")


def table(outcomes: list[Outcome]) -> str:
    """Markdown: points by program and call, how many of them left a duplicate, how many lost something."""
    counts: dict[Point, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    for outcome in outcomes:
        if outcome.point is not None:
            row = counts[outcome.point]
            row[0] += 1
            row[1] += bool(outcome.surplus)
            row[2] += bool(outcome.lost)
    rows = [(*point, *row) for point, row in sorted(counts.items())]
    lines = [_HEAD, ("---",) * len(_HEAD), *rows]
    text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    missed = sum(outcome.point is None for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    sums = [sum(row[n] for row in counts.values()) for n in range(3)]
    return f"{text}\n\n{sums[0]} points reached, {missed} not, {sums[1]} with duplicates, {sums[2]} lost; {seconds:.0f} s"


def as_json(outcomes: list[Outcome]) -> str:
    """All of them, a line each."""
    return "\n".join(
        json.dumps(
            {
                "scene": each.scene,
                "program": each.program,
                "number": each.number,
                "point": each.point,
                "seconds": round(each.seconds, 3),
                "surplus": list(map(str, each.surplus)),
                "wrong": each.wrong,
            }
        )
        for each in outcomes
    )
