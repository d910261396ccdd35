"""What came of the runs: outcomes, and the table of points by program and call."""

import collections
import dataclasses
import json

from crash_duplicates import reason
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
        """What is there twice, or in part, and must not be after a kill at this point; or more than twice."""
        often = collections.Counter(self.surplus)
        return [item for item in often if self.point is None or often[item] > 1 or not reason(self.point, item)]

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
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def summary(outcomes: list[Outcome]) -> str:
    """How many points, and what came of them, in a sentence."""
    reached = [outcome for outcome in outcomes if outcome.point is not None]
    twice = sum(bool(outcome.surplus) for outcome in reached)
    lost = sum(bool(outcome.wrong) for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    missed = len(outcomes) - len(reached)
    return f"{len(reached)} points, {missed} more not reached, {twice} with duplicates, {lost} lost or wrong, {seconds:.0f} s"


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
