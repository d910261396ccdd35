"""What a power cut leaves of the database's own files is no damage."""

import os
from pathlib import Path

import power_queue
from power_queue import judge, prepared, start

from appliance.queue.rescue import aside, wal
from appliance.state import State


def test_a_log_with_nothing_but_a_torn_head_is_empty(tmp_path: Path) -> None:
    """Its head is synced before the first frame is written."""
    (tmp_path / "log").write_bytes(bytes(20) + os.urandom(12))
    assert wal.read(tmp_path / "log") == wal.Log([], "")


def test_a_first_start_that_was_cut_off_is_no_damage(tmp_path: Path) -> None:
    """SQLite made its first page, and could not say so any more: it takes it back."""
    state = prepared(tmp_path)
    state.bodies.mkdir(parents=True)
    state.database.write_bytes(b"SQLite format 3\0" + bytes(5000))
    state.database.with_name("queue.sqlite-journal").write_bytes(bytes(512))
    assert aside.examine(state) == ""


def test_a_start_leaves_nothing_behind_the_end_of_the_log(tmp_path: Path) -> None:
    """Frames of a commit that was torn could be taken for damage when the next one is torn, too."""
    state = prepared(tmp_path)
    marks: list[tuple] = []
    post = power_queue.Post(state, lambda *mark: marks.append(mark))
    post.small()
    log = state.database.with_name("queue.sqlite-wal")
    image = State(tmp_path / "image")
    image.bodies.mkdir(parents=True)
    for path in (state.database, log, state.journal):
        (image.queue / path.name).write_bytes(path.read_bytes())
    post.stop()
    torn = b"a torn frame" * 20_000
    with (image.queue / log.name).open("ab") as file:
        file.write(torn)
    store = start(image)
    assert b"a torn frame" not in (image.queue / log.name).read_bytes()
    store.close()
    judge(image.root, marks)
