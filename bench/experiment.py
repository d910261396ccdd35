"""What the benchmark asks of an experiment: one question about speed that the table beside the peers does not answer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.cell import Ports
from bench.plan import Settings
from bench.table import Raw


@dataclass(frozen=True)
class Goal:
    """One line of the goals' table.

    number   of the goal in the issue
    asked    "at least 90 % as fast with 1,000,000 waiting"
    reached  "96 %"
    """

    number: int
    asked: str
    reached: str
    ok: bool


@dataclass(frozen=True)
class Bench:
    """What an experiment works with.

    folder  fresh, empty, its own; removed after everything has been measured
    quick   a smoke test: the smallest sizes that still say whether it works
    long    no bound of time: the sizes and rounds that say most
    say     shows a line of progress
    """

    folder: Path
    ports: Ports
    settings: Settings
    quick: bool
    long: bool
    say: Callable[[str], None]


class Experiment(Protocol):
    """A module of bench/experiments/.

    TITLE    its heading
    SECONDS  what it takes at most in a default run, neither quick nor long
    """

    TITLE: str
    SECONDS: int

    def missing(self) -> str | None:
        """Why it can't run on this machine, or None."""

    def measure(self, bench: Bench) -> Raw:
        """All figures, as JSON can hold them. Raises RuntimeError, OSError if there are none."""

    def table(self, raw: Raw) -> str:
        """The figures as Markdown. Pure."""

    def goals(self, raw: Raw) -> list[Goal]:
        """What was asked, what was reached. Pure."""
