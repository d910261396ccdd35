"""What is measured: the scenarios, and how the messages and the time are divided."""

from dataclasses import dataclass

from bench.contestant import Mode


@dataclass(frozen=True)
class Scenario:
    """One way of mail, one way of connecting."""

    name: str
    title: str
    mode: Mode
    reuse: bool


SCENARIOS = (
    Scenario("maildir-each", "to Maildir, a connection each", "maildir", reuse=False),
    Scenario("maildir-reuse", "to Maildir, connections reused", "maildir", reuse=True),
    Scenario("relay-each", "relayed, a connection each", "relay", reuse=False),
    Scenario("relay-reuse", "relayed, connections reused", "relay", reuse=True),
)


@dataclass(frozen=True)
class Settings:
    """The size of a benchmark, in messages and seconds.

    messages    of a run of a contestant whose share is 1
    budget      a further round is begun only if it should end within it
    deadline    a run may take so long, and
    patience    may stand still so long, before it counts as stalled
    settle      rest before and after each load
    """

    messages: int
    rounds: int
    singles: int
    budget: float
    deadline: float = 30.0
    patience: float = 5.0
    settle: float = 0.5
    size: int = 4096


FULL = Settings(messages=2500, rounds=3, singles=50, budget=215, settle=0.3, patience=4)
QUICK = Settings(messages=1000, rounds=1, singles=30, budget=120, deadline=12, settle=0.3)
EXPERIMENTS_SECONDS = 385  # with the table's budget this is ten minutes

EVERY_ROUND = ("paperpath", "postfix")  # the others are slow, and no goal is about them: one round


def in_turn(names: list[str], turn: int) -> list[str]:
    """The contestants' order, moved on by one each turn, so that nobody always runs after the same one."""
    start = turn % len(names) if names else 0
    return names[start:] + names[:start]


def another_round(done: int, wanted: int, elapsed: float, expected: float, budget: float) -> bool:
    """Whether a further round of so many seconds fits; the first always does."""
    return done == 0 or (done < wanted and elapsed + expected <= budget)
