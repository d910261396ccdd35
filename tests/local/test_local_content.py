"""Content in memory and content behind a descriptor behave the same."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.local.content import Content

LINE = b"Delivered-To: a@b\n"


@pytest.fixture(params=["memory", "descriptor"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[object]:
    """Content of either kind from bytes."""
    made: list[Content] = []

    def make(data: bytes) -> Content:
        if request.param == "memory":
            return Content(data, len(data))
        path = tmp_path / f"body{len(made)}"
        path.write_bytes(data)
        made.append(Content(None, len(data), os.open(path, os.O_RDONLY)))
        return made[-1]

    yield make
    for content in made:
        content.close()


@pytest.mark.parametrize(
    ("data", "loops", "reason"),
    [
        (LINE + b"Subject: x\n\nbody\n", True, "the first line"),
        (b"Subject: x\n" + LINE + b"\nbody\n", True, "the last line of the header"),
        (b"Subject: x\n" + LINE, True, "a message without a body"),
        (b"Subject: x\n\n" + LINE, False, "in the body it says nothing"),
        (b"\n" + LINE, False, "an empty header"),
        (b"X-Delivered-To: a@b\n\n", False, "another name"),
        (b"delivered-to: a@b\n\n", False, "not byte-identical"),
        (b"Delivered-To: a@b.c\n\n", False, "another address"),
        (b"Subject: x\nDelivered-To: a@b", False, "a line without its LF is none"),
        (b"X: " + b"x" * 300_000 + b"\n" + LINE + b"\n", True, "behind a long line"),
        (b"", False, "nothing at all"),
    ],
)
def test_a_loop_is_seen_by_our_own_line_in_the_header(make: object, data: bytes, loops: bool, reason: str) -> None:
    """A message that has been here before is coming round."""
    assert make(data).names(LINE) is loops, reason


def test_it_is_written_after_its_head_and_read_in_pieces(make: object, tmp_path: Path) -> None:
    """The offset of the queue's descriptor is not moved: twice the same."""
    data = os.urandom(700_000)
    content = make(data)
    for n in range(2):
        with (tmp_path / f"copy{n}").open("wb") as file:
            content.write_to(file.fileno(), b"head\n")
        assert (tmp_path / f"copy{n}").read_bytes() == b"head\n" + data
        assert b"".join(content.chunks(b"head\n")) == b"head\n" + data


def test_content_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    """A cut message is never called delivered."""
    (tmp_path / "body").write_bytes(b"x" * 10)
    content = Content(None, 20, os.open(tmp_path / "body", os.O_RDONLY))
    with (tmp_path / "copy").open("wb") as file, pytest.raises(OSError, match="10 of 20"):
        content.write_to(file.fileno(), b"")
    with pytest.raises(OSError, match="10 of 20"):
        list(content.chunks(b""))
    content.close()
