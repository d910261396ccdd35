"""What came of the runs: outcomes, and the table of points by program and call."""

import collections
import dataclasses
import json

from crash_duplicates import REASONS, reason
from crash_letters import Item
from crash_watch import Point


@dataclasses.dataclass
class Outcome:
    """One run: where the kill came, if at all, and what was wrong in the end.

    beyond  no kill came, for this number is one more than the program has calls
    fewer   no kill came, for these calls did not come that were recorded
    """

    scene: str
    program: str
    number: int
    point: Point | None = None
    seconds: float = 0.0
    surplus: list[Item] = dataclasses.field(default_factory=list)
    lost: str = ""
    beyond: bool = False
    fewer: list[Point] = dataclasses.field(default_factory=list)

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


_HEAD = ("program", "call", "on what, how often", "points", "with duplicates", "lost")


def table(outcomes: list[Outcome]) -> str:
    """Markdown: points by program and call, how many of them left a duplicate, how many lost something."""
    groups: dict[tuple[str, str], list[Outcome]] = collections.defaultdict(list)
    for outcome in outcomes:
        if outcome.point is not None:
            groups[outcome.point[:2]].append(outcome)
    rows = []
    for (program, call), group in sorted(groups.items()):
        on = collections.Counter(outcome.point.on for outcome in group if outcome.point)
        where = ", ".join(f"{name} {count}" if name else "" for name, count in sorted(on.items()))
        rows.append((program, call, where, *_sums(group)))
    lines = [_HEAD, ("---",) * len(_HEAD), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _sums(outcomes: list[Outcome]) -> tuple[int, int, int]:
    return len(outcomes), sum(bool(each.surplus) for each in outcomes), sum(bool(each.wrong) for each in outcomes)


def reasons(outcomes: list[Outcome]) -> str:
    """Markdown: how many points left a duplicate for which reason."""
    counts = collections.Counter(
        row for each in outcomes if each.point for row in {reason(each.point, item) for item in each.surplus} if row
    )
    rows = [(", ".join(row.programs), ", ".join(row.calls), row.why, counts[row]) for row in REASONS]
    lines = [("killed", "before", "why", "points"), ("---",) * 4, *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def not_reached(outcomes: list[Outcome]) -> str:
    """Markdown: which recorded calls did not come in the runs that reached no point, and how often that was."""
    counts = collections.Counter(
        kind for each in outcomes if each.point is None and not each.beyond for kind in set(each.fewer)
    )
    lines = [("not reached", "on what", "points"), ("---",) * 3]
    lines += [(f"{kind.program}: {kind.call}", kind.on, str(count)) for kind, count in sorted(counts.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(outcomes: list[Outcome]) -> str:
    """How many points, and what came of them, in a sentence."""
    reached = [outcome for outcome in outcomes if outcome.point is not None]
    points, twice, _ = _sums(reached)
    wrong = sum(bool(outcome.wrong) for outcome in outcomes)
    missed = sum(outcome.point is None and not outcome.beyond for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    return (
        f"{points} points, {missed} more not reached, {twice} with duplicates, {wrong} lost or wrong, {seconds:.0f} s"
    )


def of_json(text: str) -> list[Outcome]:
    """What `as_json` wrote; `wrong` is judged anew."""
    found = []
    for line in map(json.loads, text.splitlines()):
        outcome = Outcome(line["scene"], line["program"], line["number"], lost=line["lost"], seconds=line["seconds"])
        outcome.point = Point(*line["point"]) if line["point"] else None
        outcome.surplus = [Item(*item) for item in line["surplus"]]
        outcome.beyond, outcome.fewer = line["beyond"], [Point(*point) for point in line["fewer"]]
        found.append(outcome)
    return found


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
                "surplus": [dataclasses.astuple(item) for item in each.surplus],
                "lost": each.lost,
                "wrong": each.wrong,
                "beyond": each.beyond,
                "fewer": each.fewer,
            }
        )
        for each in outcomes
    )
