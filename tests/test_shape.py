"""The shape of the sources: small files, small functions, a word of explanation on each."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "appliance").rglob("*.py"))
DRAWERS = {"util", "utils", "manager", "managers", "helper", "helpers", "misc", "common"}


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(ROOT)))


@each(SOURCES)
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    """What needs more wants to be two files."""
    assert len(path.read_bytes().splitlines()) <= 300


@each(SOURCES)
def test_a_function_has_at_most_50_lines(path: Path) -> None:
    """What needs more has a part with a name of its own."""
    long = [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 50
    ]
    assert not long


@each(SOURCES)
def test_modules_and_public_classes_say_what_they_are(path: Path) -> None:
    """A reader needs no other file to know what this one is for."""
    tree = ast.parse(path.read_bytes())
    nodes: list[ast.Module | ast.ClassDef] = [tree]
    nodes += [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    missing = [getattr(node, "name", "the module") for node in nodes if not ast.get_docstring(node)]
    assert not missing


def test_nothing_is_a_drawer() -> None:
    """A name says what is inside."""
    places = [path for folder in ("appliance", "tests", "bench") for path in (ROOT / folder).rglob("*")]
    assert [path for path in places if path.stem in DRAWERS and "__pycache__" not in path.parts] == []


def test_test_modules_have_names_of_their_own() -> None:
    """They are no packages, so two of one name would hide each other."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
