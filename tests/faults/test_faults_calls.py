"""A system call that fails once loses no mail, refuses none, bounces none, and ends no program's work."""

import json
from pathlib import Path

import pytest
from fault_run import SCRIPTS, Result, as_json, run, table
from fault_table import errors, kind, unknown
from fault_trace import Point, usable
from today import share

SHARES = 100  # runs until every fault was tried once: today's is that of the day
SECONDS = 20.0


LINES = [
    ('write(7</state/log>, ""..., 20) = 20', "file"),
    ('read(9<UNIX-STREAM:[1->2]>, ""..., 20) = 20', "socket"),
    ("close(9<TCP:[127.0.0.1:1->127.0.0.1:2]>) = 0", "socket"),
    ('write(4<anon_inode:[eventfd]>, ""..., 8) = 8', "event"),
    ('write(4<pipe:[8]>, ""..., 8) = 8', "pipe"),
    ('openat(AT_FDCWD</>, "x", O_RDONLY) = 3', "file"),
    ('openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0600) = 3', "create"),
    ('rename("a", "b") = 0', ""),
]


@pytest.mark.parametrize(("line", "what"), LINES)
def test_what_a_call_is_about(line, what):
    """Files have other errors than sockets."""
    assert kind(line) == what


def test_a_call_that_no_table_knows_is_told():
    """Whoever makes the programs call something new says what can go wrong with it."""
    assert unknown([("fsync", "file"), ("getpid", ""), ("quotactl", "")]) == ["quotactl"]
    assert errors("fsync", "file") == ("EIO", "ENOSPC", "EDQUOT", "EINTR")
    assert errors("write", "event") == ()


@pytest.mark.skipif(not usable(), reason="strace can't trace a running process here")
def test_calls_that_fail_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each program's calls between DATA and delivery, a share of them a day: what was answered 250 arrives, nothing else bounces."""
    number, of = share(SHARES)
    results, strange = run(tmp_path, SCRIPTS, number, of, SECONDS if of > 1 else 3600)
    with capsys.disabled():  # the figures are what people want to see
        print(f"\nshare {number} of {of}\n{table(results)}")
    assert [(each.program, str(each.point), each.trouble) for each in results if each.trouble] == []
    assert strange == {}
    assert {each.program for each in results} == set(SCRIPTS)
    assert any(each.happened for each in results)


def test_results_are_json(tmp_path: Path) -> None:
    """The list of `make faults` can be read by programs."""
    result = Result("queue", Point("fsync", "EIO", 3, lasting=True), happened=True)
    (row,) = json.loads(as_json([result]))
    assert (row["program"], row["point"], row["happened"]) == ("queue", "fsync EIO at 3+", True)
