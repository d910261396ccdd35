"""`paperpath queue check|recover|backup|restore`, beside a running queue and without one, on real files."""

import json
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from corruption_parts import PAPERPATH, Post, Workers, build, copied, overwrite, wait_empty
from queue_parts import make_state
from queue_process import Running

from appliance.state import State


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A queue at rest, which is copied."""
    folder = tmp_path_factory.mktemp("stopped")
    yield build(folder / "state", stopped=True)
    shutil.rmtree(folder)


@pytest.fixture
def place(tmp_path):
    yield tmp_path / "state"
    shutil.rmtree(tmp_path / "state")


def queue(state: State, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, with what it said."""
    return subprocess.run(
        [PAPERPATH, "queue", *words, "--state", state.root], capture_output=True, text=True, check=False, timeout=60
    )


def test_check_of_a_queue_in_order(stopped, place):
    """Beside a running queue and without one it reads all, and changes nothing."""
    state = copied(stopped[0], place)
    at_rest = queue(state, "check")
    assert (at_rest.returncode, at_rest.stdout) == (0, "well: 303 messages, all of them whole\n"), at_rest
    running = Running(state)
    try:
        beside = queue(state, "check", "--json")
    finally:
        running.stop()
    assert (beside.returncode, json.loads(beside.stdout)) == (0, {"messages": 303})


def body(state):
    path = next(state.bodies.iterdir())
    os.truncate(path, path.stat().st_size - 1)


def no_body(state):
    next(state.bodies.iterdir()).unlink()


def index(state):
    """A page of an index, which only a look at all pages finds."""
    data = state.database.read_bytes()
    page = next(at for at in range(16384, len(data), 16384) if data[at] == 0x0A and at > 16384 * 3)
    overwrite(state.database, page + 3, b"\0\0")


def page(state):
    data = state.database.read_bytes()
    pages = [at for at in range(16384 * 12, len(data), 16384) if data[at] == 0x0D]
    overwrite(state.database, pages[len(pages) // 2], b"\xff" * 8)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(body, "were accepted; it bounces", id="a body cut short"),
        pytest.param(no_body, "is missing; it bounces", id="a missing body"),
        pytest.param(index, "database: ", id="an index"),
        pytest.param(page, "database: ", id="a page"),
    ],
)
def test_check_of_a_damaged_queue(stopped, place, damage, says):
    """What is wrong is said, one line each, and the exit status is 1."""
    state = copied(stopped[0], place)
    damage(state)
    found = queue(state, "check")
    assert found.returncode == 1
    assert says in found.stdout


def test_backup_under_load_restores_to_a_queue_in_which_nothing_is_missing(tmp_path, place):
    """Accepted before it began is delivered, bounced or in the backup, byte for byte; a second queue delivers the rest."""
    state = make_state(place)
    running = Running(state)
    post, more, ended = Post(), Post(), threading.Event()
    more._next = 100_000
    post.send(state, 200)
    post.send_large(state, 2)
    workers = Workers(running)

    def load() -> None:
        with suppress(OSError, AssertionError):  # the queue ends under it
            while not ended.is_set():
                more.send(state, 20)

    loading = threading.Thread(target=load)
    loading.start()
    try:
        owed = set(post.owed) | set(more.owed)
        made = queue(state, "backup", tmp_path)
    finally:
        got = set(workers.got)
        ended.set()
        loading.join()
        running.kill()
        workers.end()
    assert made.returncode == 0, made
    (file,) = tmp_path.glob("queue-*.backup")
    other = make_state(tmp_path / "other")
    assert queue(other, "restore", file).returncode == 0
    assert queue(other, "check").returncode == 0
    second = Running(other)
    workers = Workers(second)
    try:
        wait_empty(second)
    finally:
        workers.end()
    assert owed <= got | set(workers.got)
    assert workers.wrong == []


def test_restore_says_what_it_refuses(stopped, place, tmp_path):
    """A file cut short or changed, a queue with mail in it, a queue that runs: the reason, and nothing is changed."""
    state = copied(stopped[0], place)
    file = tmp_path / "backup"
    assert queue(state, "backup", file).stdout == f"{file}: 303 messages\n"
    whole = file.read_bytes()
    for data, why in (
        (whole[:-80], "end is missing"),
        (whole[:5000] + b"?" + whole[5001:], "is damaged"),
        (b"x", "no backup"),
    ):
        (tmp_path / "other").write_bytes(data)
        refused = queue(state, "restore", tmp_path / "other")
        assert (refused.returncode, why in refused.stderr) == (111, True), refused
    assert "303 messages in the queue already" in queue(state, "restore", file).stderr
    added = queue(state, "restore", file, "--add")
    assert "0 messages are in the queue again, 303 were there" in added.stdout
    running = Running(state)
    try:
        assert "stop Paperpath first" in queue(state, "restore", file).stderr
    finally:
        running.stop()


def test_recover_a_copy_from_elsewhere(stopped, place):
    """The files of a damaged queue, brought by hand, come into a running one with new ids; again only when asked."""
    state = make_state(place)
    running = Running(state)
    shutil.copytree(stopped[0].queue, place / "brought")
    workers = Workers(running)
    try:
        said = queue(state, "recover", place / "brought")
        assert "is being recovered" in said.stdout, said
        wait_empty(running)
        (folder,) = state.queue.glob("damaged-*-copy")
        assert "--again" in queue(state, "recover", folder.name).stderr
    finally:
        workers.end()
    assert set(workers.got) == stopped[1].owed
    assert len(workers.got) == len(stopped[1].owed)
