"""Supervisors for tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tree_process import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Callable[..., Tree]]:
    """Makes supervisors of stand-in programs, and stops them at the end."""
    made: list[Tree] = []

    def make(table: str, prefix: tuple[str, ...] = ()) -> Tree:
        made.append(Tree(tmp_path, table, prefix))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None and each.process.poll() is None:
            each.process.kill()
            each.process.wait()
