"""The log: one JSON object a line, never blocking."""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import log


@contextlib.contextmanager
def reading() -> Iterator[int]:
    """The reading end of a fresh log, not blocking."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    log._writer = log._Writer()
    log.setup("test", None, write)
    try:
        yield read
    finally:
        log._writer = log._Writer()
        with contextlib.suppress(OSError):  # a test may have closed it
            os.close(read)
        os.close(write)


@pytest.fixture
def pipe() -> Iterator[int]:
    with reading() as read:
        yield read


def lines(fd: int) -> list[dict[str, object]]:
    data = b""
    try:
        while piece := os.read(fd, 1 << 20):
            data += piece
    except BlockingIOError:
        pass
    assert data.endswith(b"\n") or not data
    return [json.loads(line) for line in data.splitlines()]


def test_every_line_names_time_program_and_event(pipe: int) -> None:
    """RFC 3339 in UTC, with milliseconds."""
    log.started("abc123", processes=2)
    (line,) = lines(pipe)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line["time"]))
    assert (line["program"], line["event"], line["configuration"]) == ("test", "started", "abc123")
    assert line["processes"] == 2


def test_every_line_about_a_message_has_its_id(pipe: int) -> None:
    """A message's way can be followed by one search."""
    log.received("m1", "127.0.0.1", b"client", b"a@b", 2, 100)
    log.queued("m1", "local", b"a@b", 1, 100)
    log.delivered("m1", b"c@d", "maildir x", 1, 0.5, b"did 1+0+0")
    log.forwarded("m1", b"c@d", "m2", b"e@f")
    log.deferred("m1", b"c@d", 1, b"later", "2026-01-01T00:00:00Z")
    log.failed("m1", b"c@d", 1, b"550")
    log.bounced("m1", "m3", b"a@b")
    log.discarded("m1", "triple")
    log.finished("m1", 1.5)
    found = lines(pipe)
    assert [line["message"] for line in found] == ["m1"] * 9
    assert found[2]["delay"] == 0.5


@given(st.binary(max_size=60), st.text(max_size=30))
def test_hostile_bytes_stay_inside_their_json_string(data: bytes, text: str) -> None:
    """No sender can write a log line of his own."""
    with reading() as read:
        log.received("m", "c", data, data, 1, 1)
        log.delivered("m", data, "x", 1, 0.0, data)
        log.refused("c", data, None, data, text, text)
        log.trouble(text, text)
        assert len(lines(read)) == 4


def test_a_full_pipe_never_blocks_and_what_is_lost_is_counted(pipe: int) -> None:
    """A reader that stands still costs lines, never mail."""
    begun = time.monotonic()
    for _ in range(20_000):
        log.finished("x" * 200, 0.0)
    assert time.monotonic() - begun < 30
    found = []
    while more := lines(pipe):
        found += more
        log.flush()
    dropped = [line for line in found if line["event"] == "log_dropped"]
    assert dropped
    assert len(found) - len(dropped) + sum(int(str(line["lines"])) for line in dropped) == 20_000


def test_a_reader_that_is_gone_is_no_failure(pipe: int) -> None:
    """Mail goes on without a log."""
    os.close(pipe)
    for _ in range(3):
        log.warning("nobody reads this")
    log.flush()


def test_lines_of_one_turn_leave_in_one_write(pipe: int) -> None:
    """A program with an event loop writes once a turn."""
    later = []
    log.setup("test", later.append, log._writer.fd)
    log.warning("one")
    log.warning("two")
    assert lines(pipe) == []
    assert len(later) == 1
    later.pop()()
    assert [line["event"] for line in lines(pipe)] == ["warning", "warning"]
    log.warning("three")
    assert len(later) == 1


@given(st.binary(max_size=3000), st.text(max_size=3000))
def test_a_line_is_never_longer_than_a_pipe_takes_at_once(data: bytes, text: str) -> None:
    """A longer one could block on a pipe that is nearly full, or mix with another program's line."""
    with reading() as read:
        log.refused("c", data * 5, data * 5, data * 5, text * 5, text * 5)
        log.received("m", "c", data * 5, data * 5, 1, 1)
        log.delivered("m", data * 5, "x", 1, 0.0, data * 5)
        log.trouble(text * 20, data * 20)
        found = os.read(read, 1 << 16).splitlines()
        assert len(found) == 4
        assert max(map(len, found)) < 4096
        assert all(json.loads(line) for line in found)


def test_a_long_value_says_that_it_was_cut(pipe: int) -> None:
    """Half a line and three dots."""
    log.trouble("long", "y" * 50_000)
    (line,) = lines(pipe)
    assert str(line["cause"]).startswith("y" * 1000)
    assert str(line["cause"]).endswith("y...")
