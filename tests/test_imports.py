"""The import rules of docs/internals.md, read from the sources."""

import ast
from pathlib import Path

import pytest

APPLIANCE = Path(__file__).parent.parent / "appliance"
SOURCES = sorted(APPLIANCE.rglob("*.py"))
MAY_IMPORT_CONFIG = {"config", "cli", "supervise"}
FREE = {"cli", "qmail", "supervise"}  # they start and question the programs


def area(path: Path) -> str:
    """The folder below appliance/, or "ground"."""
    parts = path.relative_to(APPLIANCE).parts
    return parts[0] if len(parts) > 1 else "ground"


def imported(path: Path) -> set[str]:
    """Full names of all modules that a source imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide where a name comes from"
            assert node.module
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def areas(path: Path) -> set[str]:
    """The areas of appliance/ that a source imports from."""
    found = set()
    for name in imported(path):
        first, _, rest = name.partition(".")
        if first == "appliance" and rest:
            top = rest.split(".")[0]
            found.add(top if (APPLIANCE / top).is_dir() else "ground")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(APPLIANCE)))
def test_a_source_imports_only_what_its_place_allows(path: Path) -> None:
    """Ground imports ground; message ground; a program ground and message; only three folders import config."""
    here, others = area(path), areas(path)
    others.discard(here)
    if here == "ground":
        assert others <= set(), f"ground imports {others}"
    elif here == "message":
        assert others <= {"ground"}, f"message imports {others}"
    elif here == "config":
        assert others <= {"ground", "message"}, f"config imports {others}"
    elif here not in FREE:
        assert others <= {"ground", "message"}, f"the program {here} imports {others}"
    assert "config" not in others or here in MAY_IMPORT_CONFIG


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(APPLIANCE)))
def test_only_config_reads_yaml(path: Path) -> None:
    """A broken YAML can never stop running mail."""
    if area(path) != "config":
        libraries = {name.partition(".")[0] for name in imported(path)}
        assert not libraries & {"yaml", "jsonschema", "ruamel"}


def test_the_rules_have_something_to_judge() -> None:
    """The sources are where this test looks for them."""
    assert {"ground", "queue", "local"} <= {area(path) for path in SOURCES}
