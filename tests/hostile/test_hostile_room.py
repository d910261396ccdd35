"""Room for new mail: what the disk, its inodes and the queue's own limit leave, and who hears of it."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hostile_queue import ALICE, SENDER, Queue, frame, letter, pour

from appliance import intake, lease
from appliance.control import Control
from appliance.queue import room as room_module
from appliance.queue.room import FREE, MUCH, SIZE, Room
from appliance.state import State

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))
from appliance_process import PAPERPATH, Appliance, wait_until

GIB, MIB = 1 << 30, 1 << 20
DISK = {"size": 100 * GIB, "free": 50 * GIB, "inodes": 1_000_000, "inodes_free": 500_000, "bodies": 0, "limit": SIZE}
ROWS = [  # what is different from DISK, room for new mail, for forwards, whether it is said why
    ({}, MUCH, True, ""),
    ({"free": FREE + 10 * MIB}, 10 * MIB, True, ""),
    ({"free": FREE}, 0, True, "bytes of the disk are free"),
    ({"free": FREE // 2}, 0, False, "bytes of the disk are free"),
    ({"free": 0}, 0, False, "bytes of the disk are free"),
    ({"size": 80 * MIB, "free": 11 * MIB}, MIB, True, ""),  # of a small disk an eighth is enough
    ({"inodes_free": 999}, 0, True, "999 inodes are free"),
    ({"inodes_free": 10}, 0, False, "10 inodes are free"),
    ({"inodes": 80, "inodes_free": 20}, MUCH, True, ""),
    ({"inodes": 0, "inodes_free": 0}, MUCH, True, ""),  # btrfs has no table of them
    ({"bodies": SIZE - 5 * MIB}, 5 * MIB, True, ""),
    ({"bodies": SIZE + 5 * MIB}, 0, True, "queue.size"),
    ({"limit": 3 * MIB, "bodies": 2 * MIB}, MIB, True, ""),
]


def look(folder: Path, monkeypatch: pytest.MonkeyPatch, disk: dict[str, int], made: type[Room] = Room) -> Room:
    """The room on such a disk, after two looks: the store is asked, and its answer is known at the second."""
    found = SimpleNamespace(
        f_blocks=disk["size"] // 4096,
        f_bavail=disk["free"] // 4096,
        f_frsize=4096,
        f_files=disk["inodes"],
        f_favail=disk["inodes_free"],
    )
    control = folder / "generations" / "one" / "control"
    control.mkdir(parents=True)
    (control / "queuesize").write_text(f"{disk['limit']}\n")
    (folder / "generations" / "active").symlink_to("one")
    (folder / "queue").mkdir()
    room = made(folder / "queue", lambda: disk["bodies"], lambda: 0)
    room.configure(Control(State(folder)).current())
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda _: found)
        for now in (1000.0, 2000.0):
            room.look(now, lambda ask, tell: tell(ask(), None))
    return room


@pytest.mark.parametrize(("different", "left", "forwards", "why"), ROWS)
def test_what_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, different, left, forwards, why
) -> None:
    """New mail leaves free what the mail that is queued needs; forwards of that may use half of it."""
    room = look(tmp_path, monkeypatch, DISK | different)
    assert (room.left, not room.none, room.short) == (left, forwards, left == 0)
    assert why in room.why
    assert bool(why) == room.short
    told: list[bytes] = []
    room.tell(told.append)
    assert told == [b"S%d" % left]


WITHOUT = {"free - keep,": "MUCH,", "self._most - used < on_disk": "False", "if inodes and": "if False and"}


@pytest.mark.parametrize("check", WITHOUT)
def test_without_a_check_the_table_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    """Shown to fail: without the look at the disk, at the queue's bytes, at the inodes, some row is another."""
    source = Path(room_module.__file__).read_text()
    assert source.count(check) == 1
    names: dict[str, type[Room]] = {"__name__": "mutant"}
    exec(compile(source.replace(check, WITHOUT[check]), "mutant", "exec"), names)  # our own text
    wrong = [
        different
        for number, (different, left, _, _) in enumerate(ROWS)
        if look(tmp_path / str(number), monkeypatch, DISK | different, names["Room"]).left != left
    ]
    assert wrong


def large(queue: Queue, role: str = "smtpd", recipient: bytes = ALICE) -> bytes:
    """The answer to a message of 300 kB."""
    with queue.enter("intake", role) as client:
        pour(client, intake.opening(SENDER, [recipient]) + frame(b"x" * 60_000) * 5 + frame(b""))
        return client.hear()


def test_a_queue_that_is_full_takes_no_new_mail_until_it_has_room_again(tmp_path: Path) -> None:
    """Its clients hear of it before they send; what is queued goes out, and forwards of it come in; it is said once."""
    queue = Queue(tmp_path, queuesize="6000000")
    try:
        with queue.enter("intake", "smtpd") as client:
            client.say(frame(b"S"))
            assert int(client.hear()[1:]) > 1_000_000
            count = 0
            while large(queue, "inject")[:1] == b"K":
                count += 1
                assert count < 30
            assert count >= 3  # then programs of this machine are put off, and the network is not
            assert large(queue)[:1] == b"K"
            count += 1
            while large(queue)[:1] == b"K":
                count += 1
                assert count < 30
            assert large(queue, "local")[:1] == b"K"  # a forward comes in all the same, and fills it
            count += 1
            queue.wait_for(lambda: queue.events("warning"))
            room = [int(client.hear()[1:])]
            while room[-1] > 0:
                room.append(int(client.hear()[1:]))
            client.say(letter())
            assert client.hear() == b"Zno room for new mail now"
            assert large(queue, "inject") == b"Zno room for new mail now"
            assert large(queue, "local")[:1] == b"K"
            with queue.enter("admin", "admin") as admin:
                assert "queue.size" in admin.ask(do="ping")[0]["short"]
            with queue.enter("lease", "local") as worker:
                worker.say(lease.encode_credit(100))
                for result in (lease.Result.PERMANENT, *[lease.Result.DONE] * count):
                    delivery = lease.decode_delivery(worker.hear())
                    worker.say(lease.encode_report(delivery.id, [lease.Report(result, b"said so")]))
                    if result is lease.Result.PERMANENT:
                        queue.wait_for(lambda: queue.events("bounced"))  # its bounce comes in all the same
                while int(client.hear()[1:]) < 1_000_000:
                    pass
            assert large(queue)[:1] == b"K"
        said = [line["what"] for line in queue.events("warning") if "room" in line["what"] or "452" in line["what"]]
        assert len(said) == 2
        assert "new mail is answered 452" in said[0]
        assert "there is room again" in said[1]
    finally:
        queue.stop()


def test_a_postmaster_sees_that_there_is_no_room_and_that_there_is_again(tmp_path: Path) -> None:
    """End to end: 452 at MAIL, exit 111 of sendmail, health says why; mail held for mailboxes goes out, and all is well."""
    host = Appliance(tmp_path / "host", "queue: {size: 20MiB, concurrency: {local: 0}}")
    host.start()

    def change(old: str, new: str) -> None:
        host.configure(host.config.read_text().replace(old, new))

    def mail() -> tuple[int, bytes]:
        with host.smtp() as session:
            session.ehlo()
            return session.mail("sender@client.example")

    def health() -> str:
        done = subprocess.run([PAPERPATH, "health", "--state", host.state], capture_output=True, text=True, check=False)
        return "well" if done.returncode == 0 else done.stdout + done.stderr

    try:
        for _ in range(6):
            host.send("alice@example.org", text=("x" * 70 + "\r\n") * 4000)
        change("size: 20MiB", "size: 1MiB")
        wait_until(lambda: mail() == (452, b"4.3.1 no room for new mail now, try again later"), 10, "452 at MAIL")
        wait_until(lambda: "no room for new mail" in health(), 10, "health to say so")
        sendmail = [PAPERPATH.with_name("sendmail"), "alice@example.org"]
        environment = {**os.environ, "PAPERPATH_STATE": str(host.state)}
        done = subprocess.run(sendmail, input=b"x", env=environment, capture_output=True, check=False)
        assert done.returncode == 111
        assert b"no room" in done.stderr
        change("local: 0", "local: 10")
        wait_until(lambda: len(host.mailbox("alice")) == 6, 20, "the mail that was held")
        wait_until(lambda: mail()[0] == 250, 15, "room again")
        wait_until(lambda: health() == "well", 10, "health to be well")
    finally:
        host.stop()
