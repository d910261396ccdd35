"""Which processes a generation asks for."""

from pathlib import Path

import pytest

from appliance.control import Generation
from appliance.supervise.programs import PROGRAMS, processes


def names(folder: Path, **files: str) -> list[str]:
    (folder / "control").mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / "control" / name).write_text(content)
    return [process.name for process in processes(Generation(folder))]


def test_the_queue_starts_first_and_smtpd_last(tmp_path: Path) -> None:
    """So that nothing comes in before it can be kept."""
    assert names(tmp_path, listen="smtp:127.0.0.1:2525\n") == [
        *("queue", "launcher", "local-1", "remote-1", "smtpd-1", "config"),
    ]


@pytest.mark.parametrize(
    ("asked", "smtpds", "why"),
    [
        ("smtpd:3\n", 3, "as asked"),
        ("smtpd:0\n", 0, "none is a number"),
        ("queue:3\n", 1, "the queue's database has one owner, and nothing is said about smtpd"),
        ("smtpd:many\n", 1, "no number"),
        ("smtpd:-1\n", 1, "no number"),
    ],
)
def test_control_processes_says_how_many(tmp_path: Path, asked: str, smtpds: int, why: str) -> None:
    """Programs that may be several are as many as the file says, one by default."""
    found = names(tmp_path, listen="smtp:127.0.0.1:2525\n", processes=asked)
    assert sum(name.startswith("smtpd") for name in found) == smtpds, why
    assert found.count("queue") == 1


@pytest.mark.parametrize("listen", ["", "submission:127.0.0.1:2587\n"])
def test_no_smtpd_without_an_smtp_listener(tmp_path: Path, listen: str) -> None:
    """A listener of another kind is not smtpd's."""
    assert not any(name.startswith("smtpd") for name in names(tmp_path, listen=listen))


def test_a_sandbox_is_part_of_a_process(tmp_path: Path) -> None:
    """Smtpd is another process when its ports change, remote when its routes change, the queue never."""
    before = dict(zip(names(tmp_path, listen="smtp:[::1]:1\n"), processes(Generation(tmp_path)), strict=True))
    after = dict(zip(names(tmp_path, smtproutes=":relay\n"), processes(Generation(tmp_path)), strict=True))
    assert [name for name in before if before[name] != after[name]] == ["remote-1"]


def test_every_program_has_its_folder() -> None:
    """One folder, one program: the table names no other module."""
    for program in PROGRAMS:
        assert program.module in {f"appliance.{program.name}.main", "appliance.config.watch"}
