"""Control files by qmail's four rules."""

from pathlib import Path

import pytest

from appliance.control import Control, Generation
from appliance.state import State


def generation(folder: Path, **files: bytes) -> Generation:
    (folder / "control").mkdir(parents=True)
    for name, data in files.items():
        (folder / "control" / name).write_bytes(data)
    return Generation(folder)


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"mx.example.org\nsecond\n", b"mx.example.org", "the first line only"),
        (b"mx \t\n", b"mx", "blanks at the end go"),
        (b"  mx", b"  mx", "leading blanks stay; the LF may be missing"),
        (b"", b"", "empty is not missing (trap 2)"),
        (b"\nmx\n", b"", "an empty first line is an empty value"),
    ],
)
def test_line(tmp_path: Path, data: bytes, line: bytes, reason: str) -> None:
    """A line file is its first line."""
    assert generation(tmp_path, f=data).line("f", b"default") == line, reason


@pytest.mark.parametrize(
    ("data", "value", "reason"),
    [
        (b"20\n", 20, "digits"),
        (b"20s\n", 20, "leading digits are used"),
        (b"", 7, "only integers fall back when empty (trap 2)"),
        (b"x20\n", 7, "no leading digit"),
        (b"-3\n", 7, "no sign"),
        (b"0\n", 0, "zero is a value"),
    ],
)
def test_integer(tmp_path: Path, data: bytes, value: int, reason: str) -> None:
    """An integer file is the digits that begin its first line."""
    assert generation(tmp_path, f=data).integer("f", 7) == value, reason


def test_lines_skip_comments_and_empty_lines(tmp_path: Path) -> None:
    """A list file's lines are stripped on the right only; the last LF may be missing."""
    found = generation(tmp_path, f=b"one \t\n\n#no\n two\n  \nthree").lines("f")
    assert found == [b"one", b" two", b"three"]


def test_an_empty_list_is_not_a_missing_one(tmp_path: Path) -> None:
    """No rcpthosts would mean everything, an empty one means nothing (traps 2 and 3)."""
    files = generation(tmp_path, rcpthosts=b"")
    assert files.lines("rcpthosts") == []
    assert files.lines("locals") is None


def test_a_map_is_cut_at_the_first_colon_and_its_last_duplicate_wins(tmp_path: Path) -> None:
    """virtualdomains: trap 1; keys fold case, lines without a colon are ignored."""
    found = generation(tmp_path, f=b"A.example:one\na.example:two:three\nnothing\n:rest\nexc:\n").mapping("f")
    assert found == {b"a.example": b"two:three", b"": b"rest", b"exc": b""}


def test_a_missing_file_gives_the_default(tmp_path: Path) -> None:
    """Each reader has its own nothing."""
    files = generation(tmp_path)
    assert (files.line("f"), files.line("f", b"d")) == (None, b"d")
    assert (files.integer("f", 3), files.lines("f"), files.mapping("f")) == (3, None, {})


def test_a_file_that_can_t_be_read_is_an_error_not_a_default(tmp_path: Path) -> None:
    """A folder in the place of rcpthosts must not make an open relay."""
    files = generation(tmp_path)
    (tmp_path / "control" / "rcpthosts").mkdir()
    with pytest.raises(IsADirectoryError):
        files.lines("rcpthosts")


def test_nothing_runs_without_me(tmp_path: Path) -> None:
    """control/me, missing or empty, is said to be."""
    with pytest.raises(LookupError, match="control/me"):
        generation(tmp_path / "a").me  # noqa: B018  # the property raises
    with pytest.raises(LookupError, match="control/me"):
        generation(tmp_path / "b", me=b"\n").me  # noqa: B018  # the property raises


def test_a_program_follows_the_active_generation(tmp_path: Path) -> None:
    """The swap of one link changes all files together; until then the same object answers."""
    state = State(tmp_path)
    for name in ("g1", "g2"):
        generation(state.generations / name, me=name.encode())
    control = Control(state)
    with pytest.raises(FileNotFoundError):
        control.current()
    state.generation.symlink_to("g1")
    first = control.current()
    assert (first.me, first.name) == (b"g1", "g1")
    assert control.current() is first
    state.generation.unlink()
    state.generation.symlink_to("g2")
    assert control.current().me == b"g2"
    assert first.me == b"g1"  # who still holds the old one sees a consistent set
