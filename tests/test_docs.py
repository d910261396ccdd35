"""The documents say what is there: commands, programs, dependencies, make targets."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PROSE = README + "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))


def folders() -> list[str]:
    """The packages under appliance/."""
    return sorted(path.parent.name for path in (ROOT / "appliance").glob("*/__init__.py"))


@pytest.mark.parametrize("folder", folders())
def test_the_readme_shows_every_stop_of_a_message(folder: str) -> None:
    """A newcomer finds each folder of the appliance in the README's map."""
    assert f"`appliance/{folder}/`" in README


@pytest.mark.parametrize("command", sorted(path.stem for path in (ROOT / "appliance" / "cli").glob("[a-z]*.py")))
def test_every_command_is_documented(command: str) -> None:
    """Nobody has to read the source to find a command."""
    if command not in {"main", "version"}:
        assert f"paperpath {command}" in PROSE


@pytest.mark.parametrize("kind", ["run", "dev", "build"])
def test_every_dependency_has_its_reason(kind: str) -> None:
    """What is installed is named in docs/dependencies.md, and everything locked has a hash."""
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    asked = re.findall(r"^([A-Za-z][\w-]+)", (ROOT / "requirements" / f"{kind}.in").read_text(), re.MULTILINE)
    assert asked
    for name in asked:
        assert name in reasons, name
    for requirement in re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{kind}.txt").read_text().strip()):
        assert "--hash=sha256:" in requirement, requirement


def test_every_make_target_of_the_readme_exists() -> None:
    """`make x` in a document is a target."""
    makefiles = [ROOT / "Makefile", *ROOT.glob("*/*.mk")]
    targets = set(re.findall(r"^([a-z-]+):", "".join(path.read_text() for path in makefiles), re.MULTILINE))
    for target in re.findall(r"^ *make ([a-z-]+)", PROSE, re.MULTILINE):
        assert target in targets, target
