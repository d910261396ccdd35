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


@pytest.mark.parametrize("kind", ["run", "dev", "build", "bench", "fuzz"])
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


def test_every_event_of_the_log_is_explained() -> None:
    """Whoever reads a log line at 3 a.m. finds its event in docs/operation.md."""
    source = "".join((ROOT / "appliance" / f"{name}.py").read_text() for name in ("log", "log_writer"))
    events = set(re.findall(r"(?:_emit|_emit_unless_flooded|\.add)\(\s*\"(\w+)\"", source))
    assert {"received", "refused", "repeated", "log_dropped", "finished"} <= events
    operation = (ROOT / "docs" / "operation.md").read_text()
    for event in events:
        assert f"`{event}`" in operation, event


def test_every_control_file_of_ours_is_explained() -> None:
    """What qmail does not know stands in docs/internals.md."""
    qmails = {"locals", "me", "rcpthosts", "virtualdomains", "smtproutes", "queuelifetime", "databytes"}
    internals = (ROOT / "docs" / "internals.md").read_text()
    golden = ROOT / "tests" / "config" / "golden" / "full" / "expected" / "control"
    names = {path.name for path in golden.iterdir()}
    assert qmails <= names
    for name in names:
        assert re.search(rf"\b{name}\b", internals), name
