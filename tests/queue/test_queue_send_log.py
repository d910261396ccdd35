"""`log: {format: qmail}`: the queue tells what it does in qmail-send's words, and scripts that read those understand it."""

import re
import time
from collections import Counter

import pytest
from queue_parts import DONE, LATER, NEVER, START, Desk, make_state

from appliance import lease, log, message_id, qmail_log
from appliance.errors import Result
from appliance.queue.memory import MemoryStore
from appliance.queue.store import LOCAL, REMOTE

TAI64N = re.compile(r"@4[0-9a-f]{23} ")


class Matchup:
    """What qmailanalog's matchup makes of a log, after its manual page.

    messages    m: number, bytes, sender, qp, uid, and how many attempts were successes (k), deferrals (z), failures (d)
    deliveries  d: result, channel and recipient, reason
    """

    def __init__(self, text):
        self.messages, self.deliveries, self.statuses, self.bounced, self.others = [], [], [], {}, []
        self._open, self._running = {}, {}
        for line in text.splitlines():
            assert TAI64N.match(line), line
            self._read(line[26:].split(" "))
        self.pending = sorted(self._open), sorted(self._running)

    def _read(self, words):
        match words:
            case ["new", "msg", number]:
                self._open[int(number)] = Counter()
            case ["info", "msg", number, "bytes", size, "from", sender, "qp", qp, "uid", uid] if number.endswith(":"):
                assert sender[0] + sender[-1] == "<>"
                self._open[int(number[:-1])]["info"] = (int(size), sender[1:-1], int(qp), int(uid))
            case ["starting", "delivery", number, "msg", message, "to", "local" | "remote" as channel, recipient]:
                self._running[int(number.removesuffix(":"))] = (int(message), f"{channel}.{recipient}")
            case ["delivery", number, "success:" | "failure:" | "deferral:" as result, reason]:
                message, to = self._running.pop(int(number.removesuffix(":")))
                letter = {"s": "k", "f": "d", "d": "z"}[result[0]]
                self._open[message][letter] += 1
                self.deliveries.append((letter, to, reason))
            case ["bounce", "msg", number, "qp", qp]:
                self.bounced[int(number)] = int(qp)
            case ["end", "msg", number]:
                found = self._open.pop(int(number))
                size, sender, qp, uid = found["info"]
                self.messages.append((int(number), size, sender, qp, uid, found["k"], found["z"], found["d"]))
            case ["status:", *rest]:
                self.statuses.append(" ".join(rest))
            case _:
                self.others.append(" ".join(words))


@pytest.fixture
def opened(tmp_path):
    """A queue whose log has qmail's form, and the log."""
    path, desks = tmp_path / "log", []

    def opening(**control):
        desks.append(Desk(make_state(tmp_path / "state", log="format:qmail", **control), MemoryStore()))
        return desks[0], path.read_text

    with open(path, "wb", buffering=0) as file:
        log.setup("queue", fd=file.fileno())
        yield opening
        log.follow(None)
        log.setup("queue")
    desks[0].service.bodies.close()


def words(text):
    return [line[26:] for line in text.splitlines()]


def test_the_life_of_a_message_in_order(opened):
    """New, info, starting, status, delivery, status, bounce, end; then the bounce is a new message from nobody."""
    desk, text = opened()
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org"], role="uid 1000")
    number = message_id.parse(desk.answers[0][1:].decode())
    worker.report(NEVER)
    found = words(text())
    size = int(re.search(r"bytes (\d+)", found[1])[1])
    qp = int(found[6].split(" ")[-1])
    (bounce,) = [int(line.split(" ")[2]) for line in found[8:9]]
    assert found == [
        f"new msg {number}",
        f"info msg {number}: bytes {size} from <bob@elsewhere.example> qp {number % 10**9} uid 1000",
        f"starting delivery 1: msg {number} to local example.org-a@example.org",
        "status: local 1/10 remote 0/20",
        "delivery 1: failure: no_such_user",
        "status: local 0/10 remote 0/20",
        f"bounce msg {number} qp {qp}",
        f"end msg {number}",
        f"new msg {bounce}",
        found[9],
    ]
    assert re.fullmatch(rf"info msg {bounce}: bytes \d+ from <> qp {qp} uid \d+", found[9])


def test_qmailanalog_understands_it(opened):
    """Every attempt and message is matched: who got what, how often it was put off, and nothing is left over."""
    desk, text = opened(concurrencylocal="7", concurrencyremote="9")
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([b"a@example.org", b"b@example.org", b"x@one.example"])
    local.report(lease.Report(Result.DONE, b"did 1+0+0\n"), LATER)
    remote.report(DONE)
    desk.advance(150)
    local.report(NEVER)
    remote.report(DONE)  # the bounce
    found = Matchup(text())
    assert found.pending == ([], [])
    assert found.others == []
    assert found.deliveries == [
        ("k", "local.example.org-a@example.org", "did_1+0+0/"),
        ("z", "local.example.org-b@example.org", "mailbox_busy"),
        ("k", "remote.x@one.example", "done"),
        ("d", "local.example.org-b@example.org", "no_such_user"),
        ("k", "remote.bob@elsewhere.example", "done"),
    ]
    first, second = found.messages
    assert (first[2], *first[5:]) == ("bob@elsewhere.example", 2, 1, 1)
    assert (second[2], *second[5:]) == ("", 1, 0, 0)
    assert found.bounced[first[0]] == second[3]
    assert max(found.statuses) == "local 2/7 remote 1/9"
    assert found.statuses[-1] == "local 0/7 remote 0/9"


def test_trap_34_what_a_line_may_hold():
    """LF becomes /, % becomes _, and so does all beyond 33 to 126: no sender writes a line of his own."""
    every = bytes(range(256))
    shown = "".join(
        "/" if each == 10 else chr(each) if 33 <= each <= 126 and each != ord("%") else "_" for each in range(256)
    )
    assert qmail_log.safe(every) == shown
    assert qmail_log.safe(b"Sorry. (#5.1.1)\n") == "Sorry._(#5.1.1)/"


def test_hostile_texts_stay_in_their_line(opened):
    """What hosts and senders write can't pretend to be an event."""
    desk, text = opened()
    worker = desk.worker(REMOTE)
    desk.accept([b"x y\nend msg 1@one.example"], sender=b"a\nnew msg 2@b.example")
    worker.report(lease.Report(Result.DONE, b"ok\nend msg 3\r\n\xff%" + b"z" * 9000))
    found = Matchup(text())
    assert (found.pending, found.others) == (([], []), [])
    assert found.messages[0][2] == "a/new_msg_2@b.example"
    assert max(map(len, text().splitlines())) < 4096


def test_a_triple_bounce_is_discarded(opened):
    """The failure of a double bounce is told to nobody but the log."""
    desk, text = opened()
    local, remote = desk.worker(LOCAL), desk.worker(REMOTE)
    desk.accept([b"a@example.org"])
    local.report(NEVER)
    remote.report(NEVER)
    local.report(NEVER)
    found = Matchup(text())
    assert [message[2] for message in found.messages] == ["bob@elsewhere.example", "", "#@[]"]
    assert found.others == [f"triple bounce: discarding bounce/{found.messages[2][0]}"]


def test_zero_recipients_are_logged_and_ended(opened):
    """A message to nobody is new and ends at once."""
    desk, text = opened()
    desk.accept([])
    assert [line.split(" ")[0] for line in words(text())] == ["new", "info", "end"]


def test_a_worker_that_dies_defers_what_it_had(opened):
    """Each attempt has an end; the same recipients begin anew."""
    desk, text = opened()
    desk.worker(LOCAL).leave()
    first = desk.worker(LOCAL)
    desk.accept([b"a@example.org"])
    first.leave()
    desk.worker(LOCAL).report(DONE)
    found = Matchup(text())
    assert found.pending == ([], [])
    assert [letter for letter, *_ in found.deliveries] == ["z", "k"]


def test_stamps_are_multilogs():
    """TAI64N as daemontools reckons it: 2^62 + 10 + seconds, and nanoseconds."""
    assert qmail_log.stamp(0.5) == "@400000000000000a1dcd6500"
    assert qmail_log.stamp(START) == f"@40000000{int(START) + 10:08x}00000000"


def test_the_form_follows_the_configuration(opened, tmp_path):
    """From one generation to the next the log has another form; attempts that began before are not told."""
    desk, text = opened()
    worker = desk.worker(LOCAL)
    desk.accept([b"a@example.org"])
    old = desk.state.generations / "first"
    for name, form in (("second", "json"), ("third", "qmail")):
        new = desk.state.generations / name
        old.rename(new)
        (new / "control" / "log").write_text(f"format:{form}\n")
        desk.state.generation.unlink()
        desk.state.generation.symlink_to(name)
        desk.advance(10)
        old = new
        if form == "json":
            before = text()
            worker.report(DONE)
            assert '"event": "finished"' in text().removeprefix(before)
    desk.accept([b"a@example.org"])
    assert words(text())[-2].startswith("starting delivery 1: ")


def test_other_events_are_passed_over(opened):
    """Warnings and troubles are qmail's; what it does not know names its program; nothing looks like another's line."""
    _, text = opened()
    log.warning("a disk\nis full")
    log.trouble("queue: can't", "why")
    log.started("abc")
    log.received("1x", "127.0.0.1", b"h", b"s@x", 1, 1)
    first, second, third = words(text())
    assert first == "warning: a disk/is full"
    assert second == "alert: queue: can't: why"
    assert third.startswith('queue: started {"pid": ')
    assert Matchup(text()).others == [first, second, third]


def test_it_costs_nothing_when_it_is_off(desk):
    """Without it there is no object, and deliveries are given to workers as ever."""
    assert desk.service.send_log is None
    assert all(channel.give is type(desk.worker(LOCAL).worker).give for channel in desk.service.channels)


def test_it_keeps_up(opened):
    """A thousand messages in some hundred milliseconds, on any machine."""
    desk, text = opened()
    worker = desk.worker(LOCAL)
    began = time.perf_counter()
    for _ in range(1000):
        desk.accept([b"a@example.org"])
        worker.report(DONE)
    assert time.perf_counter() - began < 30
    assert len(Matchup(text()).messages) == 1000


def test_the_decimal_number_finds_the_message():
    """`paperpath queue show` takes the number of qmail's log, too."""
    number = 1_795_376_027_361_201
    assert message_id.parse(str(number)) == message_id.parse(message_id.text(number)) == number
