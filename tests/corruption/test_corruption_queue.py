"""A damaged queue is set aside whole; what can be read comes back, what can't is told, and new mail is taken meanwhile."""

import os
import random
import shutil
from pathlib import Path

import pytest
from corruption_parts import Post, Workers, build, build_logged, copied, overwrite, wait_empty
from queue_process import Running

from appliance.queue.rescue import wal
from appliance.state import State

PAGE = 16384


@pytest.fixture(scope="module")
def queues(tmp_path_factory):
    """The queues that are copied and damaged."""
    folder = tmp_path_factory.mktemp("queues")
    yield {
        "killed": build(folder / "killed", stopped=False),
        "stopped": build(folder / "stopped", stopped=True),
        "logged": build_logged(folder / "logged"),
    }
    shutil.rmtree(folder)


@pytest.fixture
def place(tmp_path):
    yield tmp_path / "state"
    shutil.rmtree(tmp_path / "state")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pages_of(state: State) -> int:
    return state.database.stat().st_size // PAGE


def header(state):
    overwrite(state.database, 0, b"\0" * 100)


def zeros(state):
    size = state.database.stat().st_size
    overwrite(state.database, 0, bytes(size))


def foreign(state):
    state.database.write_bytes(random.Random(1).randbytes(200_000))


def version(state):
    overwrite(state.database, 60, (99).to_bytes(4, "big"))


def truncated(state):
    os.truncate(state.database, pages_of(state) // 2 * PAGE + 100)


def missing(state):
    state.database.unlink()


def root(state):
    """The page above all messages."""
    overwrite(state.database, PAGE, b"\xff" * PAGE)


def page_of_messages(state):
    """A page of messages in the middle: eight bytes of its head."""
    overwrite(state.database, pages_of(state) // 2 * PAGE, b"\xff" * 8)


def log_in_the_middle(state):
    overwrite(state.queue / "queue.sqlite-wal", 32 + 24 + 5000, b"damage")


def log_late(state):
    """The only image of a page of messages."""
    path = state.queue / "queue.sqlite-wal"
    frames, data = wal.read(path).frames, path.read_bytes()
    last = {frame.page: frame.offset for frame in frames}
    offset = next(at for page, at in last.items() if page > 12 and data[at] == 0x0D and at < len(data) // 2)
    overwrite(path, offset, b"\xff" * 8)


def log_gone(state):
    (state.queue / "queue.sqlite-wal").unlink()


def log_cut(state):
    path = state.queue / "queue.sqlite-wal"
    os.truncate(path, path.stat().st_size // 3)


def log_of_zeros(state):
    path = state.queue / "queue.sqlite-wal"
    path.write_bytes(bytes(path.stat().st_size))


NOTHING, UNKNOWN = "Nothing is known to be lost.", "its own count can't be read"
LAST = "Lost: some of what was committed last"
# which queue, how it is damaged, whether something of it is lost with that, and what the report says
DAMAGES = [
    pytest.param("stopped", header, False, NOTHING, id="the head of the database"),
    pytest.param("stopped", zeros, False, UNKNOWN, id="a database of zeros"),  # its journal has all
    pytest.param("killed", foreign, True, UNKNOWN, id="a foreign file"),
    pytest.param("stopped", version, False, NOTHING, id="a version of another program"),
    pytest.param("killed", truncated, True, "messages that were in the queue.", id="half of the database"),
    pytest.param("killed", missing, True, UNKNOWN, id="no database"),
    pytest.param("stopped", root, False, NOTHING, id="the root of a tree"),
    pytest.param("logged", log_in_the_middle, False, NOTHING, id="a page of the log that has a later image"),
    pytest.param("logged", log_late, True, "messages that were in the queue.", id="another page of the log"),
    pytest.param("logged", log_gone, True, LAST, id="no log"),
    pytest.param("logged", log_cut, True, LAST, id="a log cut short"),
    pytest.param("logged", log_of_zeros, True, LAST, id="a log of zeros"),
]


@pytest.mark.parametrize(("which", "damage", "loses", "says"), DAMAGES)
def test_database_found_damaged_at_start(queues, place, which, damage, loses, says):
    """New mail is taken at once, all that can be read is delivered once, the files are kept byte for byte."""
    state, before = copied(queues[which][0], place), queues[which][1]
    damage(state)
    left = contents(state.queue)
    running = Running(state)
    workers = Workers(running)
    try:
        post = Post()
        post._next = 10_000
        post.send(state, 20)
        wait_empty(running)
    finally:
        workers.end()
    (folder,) = state.queue.glob("damaged-*")
    kept = contents(folder)
    assert {name: kept.get(name) for name in left} == left
    assert sorted(workers.got) == sorted(set(workers.got))
    got = set(workers.got)
    assert post.owed <= got
    lost = before.owed - got
    assert bool(lost) is loses
    report = (folder / "report").read_text()
    assert says in report
    assert any(report.splitlines()[0].encode() in notice for notice in workers.notices)
    assert workers.wrong == []
    # what was in the journal is never lost with the database
    last = 80 if which == "logged" else 303
    assert {pair for pair in before.owed if pair[0] > last} <= got


def test_page_damaged_in_the_middle(queues, place):
    """What SQLite finds only in use ends the queue, and its next start sets it aside: all other pages come back."""
    state, before = copied(queues["killed"][0], place), queues["killed"][1]
    page_of_messages(state)
    running = Running(state)
    workers = Workers(running)
    try:
        assert running.process.wait(30) == 111
        running.start()
        wait_empty(running)
    finally:
        workers.end()
    got = set(workers.got)
    assert len(before.owed - got) < 15
    (folder,) = state.queue.glob("damaged-*")
    assert "malformed" in (folder / "reason").read_text()
