"""Writes that survive a power cut."""

import os
from pathlib import Path

import pytest

from appliance import safeio


def test_a_file_is_written_whole_with_its_mode(tmp_path: Path) -> None:
    """Chunks are joined; the mode is the caller's."""
    safeio.write_file(tmp_path / "f", [b"a", b"", b"bc"], 0o600)
    assert (tmp_path / "f").read_bytes() == b"abc"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    """New means new."""
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        safeio.write_file(tmp_path / "f", [b"new"])
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_half_written_file_is_removed(tmp_path: Path) -> None:
    """A source that fails in the middle leaves nothing behind."""

    def chunks() -> object:
        yield b"half"
        raise OSError("source is gone")

    with pytest.raises(OSError, match="source is gone"):
        safeio.write_file(tmp_path / "f", chunks())
    assert list(tmp_path.iterdir()) == []


def test_every_byte_is_written_to_a_slow_pipe() -> None:
    """A short write is continued."""
    read, write = os.pipe()
    data = b"x" * 1_000_000
    child = os.fork()
    if not child:
        os.close(read)
        safeio.write_all(write, data)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert file.read() == data
    assert os.waitpid(child, 0)[1] == 0


def test_a_link_is_swapped_in_one_step_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """Whoever reads the link sees the old target or the new one."""
    link = tmp_path / "generation"
    (tmp_path / "generation.new").symlink_to("left by a crash")
    for target in ("one", "two"):
        safeio.replace_link(link, target)
        assert link.readlink() == Path(target)
    assert [path.name for path in tmp_path.iterdir()] == ["generation"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Nothing is called durable that is not."""
    with pytest.raises(FileNotFoundError):
        safeio.sync_directory(tmp_path / "missing")
