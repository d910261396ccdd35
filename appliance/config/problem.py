"""What is wrong with a configuration: where, at which key, what was found, what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

Path = tuple[str | int, ...]

TOP: Path = ()


def spell(path: Path) -> str:
    """A path as people write it: `domains.example.org.aliases.team[1]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text or "(top)"


class Finding(NamedTuple):
    """A mistake before it has a position: the path, what was found and would be right, the key or its value."""

    path: Path
    text: str
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    file         the name as the operator gave it
    line, column where to look, from 1; both 0 if it is about the file as a whole
    path         the key, spelt out
    text         what was found; what would be right
    """

    file: str
    line: int
    column: int
    path: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return one_line(f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}")


class ConfigError(Exception):
    """A configuration that can't be used; it carries every mistake that was found, in the file's order.

    included: the file that it includes, relative to its folder: to put that one right may be enough
    """

    def __init__(self, mistakes: Iterable[Problem], included: str | None = None) -> None:
        self.included = included
        self.mistakes = sorted(mistakes, key=lambda problem: (problem.line, problem.column))
        super().__init__("\n".join(self.problems))

    @property
    def problems(self) -> list[str]:
        """Printable lines, `file:line:col: path: found; right`."""
        return [str(problem) for problem in self.mistakes]


def one_line(text: str) -> str:
    """Text that can't break a terminal or a log: control characters are spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    found = get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
