"""Damage that takes a part of something: a record, a body file, recipients.  Nobody is left without an answer."""

import os
import random
import resource
import shutil
import subprocess
import time

import pytest
from corruption_parts import LOCAL, PAPERPATH, REMOTE, Workers, build, copied, overwrite, wait_empty
from queue_process import Running

from appliance.queue import journal
from appliance.queue.record import decode
from appliance.queue.rescue.pages import Pages, Unreadable
from appliance.queue.rescue.salvage import fits, reader
from appliance.queue.rescue.wal import Log

PAGE = 16384


@pytest.fixture(scope="module")
def queues(tmp_path_factory):
    """The queues that are copied and damaged."""
    folder = tmp_path_factory.mktemp("queues")
    yield {"killed": build(folder / "killed", stopped=False), "stopped": build(folder / "stopped", stopped=True)}
    shutil.rmtree(folder)


@pytest.fixture
def place(tmp_path):
    yield tmp_path / "state"
    shutil.rmtree(tmp_path / "state")


def records(state):
    """Where the journal's records are, and the messages in each."""
    with state.journal.open("rb") as file:
        load, size = reader(file.fileno()), file.seek(0, 2)
        found, position = [], 0
        for payload in journal.scan(load, size, journal.newest(load, size)):
            found.append((position, {row.id for change in decode(payload) for row in change.messages}))
            position += -(-(journal.HEAD + len(payload)) // journal.PAGE) * journal.PAGE
    return found


def settled(state):
    """Start it, deliver all, stop it: who got what."""
    running = Running(state)
    workers = Workers(running)
    try:
        wait_empty(running)
    finally:
        workers.end()
    return workers


def test_journal_damaged_in_the_middle(queues, place):
    """One record is lost, those behind it are not; the report names who should have got it; the copy is kept."""
    state, post = copied(queues["killed"][0], place), queues["killed"][1]
    found = records(state)
    position, _ = found[len(found) // 2]
    overwrite(state.journal, position + 2000, b"damage")
    damaged = state.journal.read_bytes()
    workers = settled(state)
    lost = post.owed - set(workers.got)
    assert len({token for token, _ in lost}) == 1
    (folder,) = state.queue.glob("damaged-*")
    assert (folder / "damaged").read_bytes() == damaged
    report = (folder / "report").read_text()
    (token,) = {token for token, _ in lost}
    assert f"message {post.ids[token].decode()}" in report
    assert all(person.decode() in report for person in {LOCAL, REMOTE} if (token, person) in lost)


def test_journal_whose_last_record_is_torn(queues, place):
    """That is what a power cut leaves of a commit that was never answered: it counts for nothing, and no alarm is given."""
    state, post = copied(queues["killed"][0], place), queues["killed"][1]
    position, _ = records(state)[-1]
    overwrite(state.journal, position + 2000, b"torn")
    workers = settled(state)
    assert len({token for token, _ in post.owed - set(workers.got)}) == 1
    assert list(state.queue.glob("damaged-*")) == []


def cut(state):
    os.truncate(state.journal, records(state)[20][0])


@pytest.mark.parametrize(
    ("damage", "how"),
    [
        pytest.param(lambda state: state.journal.unlink(), "missing", id="missing"),
        pytest.param(lambda state: state.journal.write_bytes(bytes(journal.SIZE)), "empty", id="zeros"),
        pytest.param(cut, "cut short", id="cut short"),
    ],
)
def test_journal_that_is_not_all_there(queues, place, damage, how):
    """What the database has is delivered, and the postmaster hears that some is lost."""
    state, post = copied(queues["killed"][0], place), queues["killed"][1]
    damage(state)
    workers = settled(state)
    assert {pair for pair in post.owed if pair[0] <= 303} <= set(workers.got)
    assert any(f"the journal is {how}".encode() in notice for notice in workers.notices)


@pytest.mark.parametrize("cut", [True, False], ids=["cut short", "missing"])
def test_body_file_found_damaged_in_use(queues, place, cut):
    """Its message bounces to the sender, never goes out cut short, and what is left of the file is kept."""
    state, post = copied(queues["stopped"][0], place), queues["stopped"][1]
    path = next(iter(state.bodies.iterdir()))
    (token,) = (token for token, name in post.ids.items() if name.decode() in path.read_bytes()[:200].decode("latin-1"))
    if cut:
        os.truncate(path, 100_000)
    else:
        path.unlink()
    workers = settled(state)
    assert post.owed - set(workers.got) == {(token, LOCAL)}
    assert workers.wrong == []
    (bounce,) = [notice for notice in workers.notices if b"damaged on our disk" in notice]
    assert LOCAL in bounce
    if cut:
        assert b"token-%d-" % token in bounce
        assert (state.queue / "damaged-bodies" / "body" / path.name).stat().st_size == 100_000


def test_recipients_that_are_lost(queues, place):
    """Where a page of recipients is damaged, the postmaster gets the messages with their content."""
    state, post = copied(queues["stopped"][0], place), queues["stopped"][1]
    pages = Pages(state.database, Log([], ""))
    leaves = []
    for number in range(2, pages.count + 1):
        try:
            rows = pages.rows(number)
        except Unreadable:
            continue
        if rows and all(row is not None and fits("delivery", row) for row in rows):
            leaves.append(number)
    pages.close()
    overwrite(state.database, (leaves[1] - 1) * PAGE, b"\xff" * 8)
    overwrite(state.journal, 0, bytes(journal.SIZE))  # which would make up for it
    (state.queue / "suspect").write_text("somebody saw it")
    workers = settled(state)
    lost = post.owed - set(workers.got)
    assert lost
    letters = [notice for notice in workers.notices if b"Recipients of a message were lost" in notice]
    assert len(letters) == min(100, len({token for token, _ in lost}))
    told = {token for token, _ in lost if workers.told(token)}
    assert len(told) == len(letters)
    (folder,) = state.queue.glob("damaged-*")
    assert f"{len({token for token, _ in lost})} messages lost recipients" in (folder / "report").read_text()


def test_kill_at_any_instant_of_a_recovery(queues, place):
    """It goes on where it was: nothing is missing at the end, and nothing came twice."""
    state, post = copied(queues["killed"][0], place), queues["killed"][1]
    overwrite(state.database, PAGE, b"\xff" * PAGE)
    chance = random.Random(1)
    running = Running(state)
    for _ in range(5):
        time.sleep(chance.uniform(0.0, 0.12))
        running.kill()
        running.start()
    workers = Workers(running)
    try:
        wait_empty(running)
    finally:
        workers.end()
    assert post.owed - set(workers.got) == set()
    assert len(workers.got) == len(set(workers.got))


def test_disk_full_during_a_recovery(queues, place, tmp_path):
    """The damaged copy stays as it is, mail goes on, and it is tried again."""
    (tmp_path / "state").mkdir()
    shutil.copytree(queues["stopped"][0].generations, place / "generations", symlinks=True)
    state, post = type(queues["stopped"][0])(place), queues["stopped"][1]
    running = Running(state)
    command = [PAPERPATH, "queue", "recover", "--state", state.root]
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
    subprocess.run([*command, queues["stopped"][0].queue], check=True, capture_output=True)
    running.wait_for(lambda: any("can't be recovered now" in entry["what"] for entry in running.events("trouble")))
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    subprocess.run(command, check=True, capture_output=True)
    workers = Workers(running)
    try:
        wait_empty(running)
    finally:
        workers.end()
    assert set(workers.got) == post.owed


def test_recovered_mail_waits_for_its_mark(queues, place):
    """A queue killed when a batch is committed and not marked yet delivers nothing of it twice."""
    place.mkdir()
    shutil.copytree(queues["stopped"][0].generations, place / "generations", symlinks=True)
    state, post = type(queues["stopped"][0])(place), queues["stopped"][1]
    folder = state.queue / "damaged-by-hand"
    shutil.copytree(queues["stopped"][0].queue, folder)
    (folder / "reason").write_text("somebody saw it")
    (folder / "before").write_text(f"{1 << 60} 0")  # ids may stay as they are
    (folder / "fed.new").mkdir()  # where the mark is written first
    running = Running(state)
    workers = Workers(running)
    try:
        running.wait_for(lambda: any("can't be recovered now" in entry["what"] for entry in running.events("trouble")))
        time.sleep(0.2)  # for what must not come
        assert workers.got == []
        running.kill()
        (folder / "fed.new").rmdir()
        running.start()
        wait_empty(running)
    finally:
        workers.end()
    assert sorted(set(workers.got)) == sorted(workers.got)
    assert set(workers.got) == post.owed
