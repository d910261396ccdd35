"""Clients of SMTP that want to cost something: each limit, what they hear, and who is served meanwhile."""

import contextlib
import ipaddress
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "smtpd"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mutation"))
from mutant import Mutant
from smtpd_program import Client, Smtpd

from appliance import policy

GREETED = b"220"


@contextlib.contextmanager
def serving(folder: Path, room: int | None = None, change: dict | None = None, **control: str) -> Iterator[Smtpd]:
    """Smtpd with these control files, or a mutant of it."""
    environment = Mutant(folder, change).environment if change else None
    program = Smtpd(folder / "state", {name: f"{text}\n" for name, text in control.items()}, room, environment)
    try:
        yield program
    finally:
        program.stop()


def greeted(client: Client) -> Client:
    assert client.reply()[:3] == GREETED
    assert client.say(b"EHLO x")[:3] == b"250"
    return client


def goes(client: Client, *commands: bytes, most: int = 1000) -> bytes:
    """Say them again and again until it is the end, so many times at most; the last reply."""
    reply = b""
    for _ in range(most):
        for command in commands:
            try:
                reply = client.say(command) or reply
            except (ConnectionError, AssertionError):
                return reply
            if reply[:3] == b"421":
                return reply
    return reply


REPEATED = [  # control file, its number, what is said again and again, the text of the 421
    ("maxerrors", 20, [b"GET / HTTP/1.1"], b"too many errors"),
    ("maxerrors", 5, [b"MAIL FROM:<", b"RCPT"], b"too many errors"),
    ("maxrefusals", 10, [b"RCPT TO:<nobody@example.org>"], b"too many refusals"),
    ("maxrefusals", 10, [b"RCPT TO:<world@elsewhere.example>"], b"too many refusals"),
    ("maxrefusals", 7, [b"RSET", b"MAIL FROM:<a@b.example> SIZE=999999999"], b"too many refusals"),
    ("maxcommands", 20, [b"NOOP"], b"too many commands that bring no mail"),
    ("maxcommands", 20, [b"EHLO x", b"RSET", b"VRFY x", b"HELP", b"HELO x"], b"too many commands that bring no mail"),
]


@pytest.mark.parametrize(("name", "most", "commands", "text"), REPEATED)
def test_a_session_that_brings_no_mail_is_ended(tmp_path: Path, name: str, most: int, commands, text: bytes) -> None:
    """421, the reason, and the end; the log says it, too."""
    with serving(tmp_path, **{name: str(most)}) as smtpd, smtpd.connect() as client:
        greeted(client)
        assert client.say(b"MAIL FROM:<sender@example.net>")[:3] == b"250"
        reply = goes(client, *commands)
        assert reply.startswith(b"421 4.7.0 " + text)
        assert client.line() == b""
        assert text.decode() in smtpd.wait_for("session_ended")["reason"]


def test_mail_begins_the_counts_anew(tmp_path: Path) -> None:
    """A client with much mail and some mistakes is never cut short; 452 for one recipient too many is no refusal."""
    with serving(tmp_path, maxrefusals="4", maxerrors="4", maxcommands="6") as smtpd, smtpd.connect() as client:
        greeted(client)
        for _ in range(10):
            assert client.say(b"NOPE")[:3] == b"502"
            assert client.say(b"RSET")[:3] == b"250"
            assert client.say(b"MAIL FROM:<sender@example.net>")[:3] == b"250"
            assert client.say(b"RCPT TO:<nobody@example.org>")[:3] == b"550"
            for _ in range(5):
                assert client.say(b"RCPT TO:<alice@example.org>")[:3] == b"250"
            for _ in range(10):
                assert client.say(b"RCPT TO:<alice@example.org>")[:3] == b"452"
            assert client.say(b"DATA")[:3] == b"354"
            assert client.say(b"Subject: x\r\n\r\ntext\r\n.")[:3] == b"250"


def content_drop_by_drop(client: Client) -> None:
    """Far below 1,000 bytes a second."""
    client.send(b"x" * 20)


SLOW: dict[str, Callable[[Client], None]] = {  # why it is left, and what it says ten times a second
    "timeout": lambda client: client.send(b"N"),  # a byte of a command now and then is no progress
    "too long without mail": lambda client: client.send(b"NOOP\r\n"),
    "too slow in DATA": content_drop_by_drop,
}


def test_slow_clients_are_not_kept_and_fair_ones_are(tmp_path: Path) -> None:
    """Slow loris: what comes drop by drop keeps no session; RFC 5321 section 4.5.3.2: pauses below the time-out do no harm."""
    with serving(tmp_path, timeoutsmtpd="3", timeoutsession="5") as smtpd, contextlib.ExitStack() as stack:
        slow = {reason: stack.enter_context(smtpd.connect()) for reason in SLOW}
        fair = stack.enter_context(smtpd.connect())
        for reason, client in [*slow.items(), ("fair", fair)]:
            if reason in ("fair", "too slow in DATA"):
                client.begin()
            else:
                greeted(client)
        end, ended = time.monotonic() + 60, set()
        while len(ended) < len(SLOW):
            assert time.monotonic() < end, ended
            for reason in SLOW.keys() - ended:
                with contextlib.suppress(ConnectionError):
                    SLOW[reason](slow[reason])
            fair.send((b"x" * 398 + b"\r\n") * 3)
            time.sleep(0.1)
            ended = {line["reason"] for line in smtpd.log if line["event"] == "session_ended"}
            assert ended <= SLOW.keys()
        assert fair.say(b".")[:3] == b"250"
        while (reply := slow["too long without mail"].line()) and reply[:3] == b"250":
            pass
        assert reply.startswith(b"421 4.4.2")


NO_ROOM = [(0, b"", b"452 4.3.1"), (0, b" SIZE=1", b"452 4.3.1"), (5000, b" SIZE=5000", b"452 4.3.1"), (5000, b" SIZE=4999", b"250"), (5000, b"", b"250")]  # fmt: skip


@pytest.mark.parametrize(("room", "size", "answer"), NO_ROOM)
def test_a_message_that_there_is_no_room_for_is_put_off_before_it_is_sent(tmp_path: Path, room, size, answer) -> None:
    """At MAIL, with its SIZE (RFC 1870 section 6.1); it is temporary, and the session goes on."""
    with serving(tmp_path, room=room) as smtpd, smtpd.connect() as client:
        greeted(client)
        end = time.monotonic() + 60
        while not (reply := client.say(b"MAIL FROM:<sender@example.net>" + size)).startswith(answer):
            assert time.monotonic() < end, reply  # smtpd has not heard of it yet
            assert client.say(b"RSET")[:3] == b"250"
            time.sleep(0.05)
        assert client.say(b"NOOP")[:3] == b"250"


def crowd(smtpd: Smtpd, address: str, count: int, stack: contextlib.ExitStack) -> list[bytes]:
    """The greetings of so many connections from an address that stay."""
    return [stack.enter_context(smtpd.connect(address)).reply()[:3] for _ in range(count)]


def one_address_has_so_many_sessions(smtpd: Smtpd) -> None:
    with contextlib.ExitStack() as stack:
        assert crowd(smtpd, "127.0.0.1", 12, stack) == [GREETED] * 10 + [b"421"] * 2
        assert crowd(smtpd, "127.0.0.2", 1, stack) == [GREETED]


def test_one_address_can_not_have_all_sessions(tmp_path: Path) -> None:
    """Another address gets in while one floods; sessions in all have an end, too."""
    with serving(tmp_path, maxsessionsperclient="10", maxsessions="15") as smtpd:
        one_address_has_so_many_sessions(smtpd)
        with contextlib.ExitStack() as stack:
            found = [crowd(smtpd, f"127.0.0.{number}", 5, stack) for number in range(3, 7)]
            assert found == [[GREETED] * 5] * 3 + [[b"421"] * 5]


# seconds that silent clients have then, and between two looks at the clock
CROWDED = {"smtpd/server.py": [("CROWDED = 300.0", "CROWDED = 0.5"), ("TICK = 1.0", "TICK = 0.1")]}


def the_idle_make_room(smtpd: Smtpd, before: float = 1.5, within: float = 30.0) -> None:
    """Half of the sessions may be silent; when more than three quarters are taken, silent ones are ended; seconds."""
    with contextlib.ExitStack() as stack:
        for number in range(1, 5):
            crowd(smtpd, f"127.0.0.{number}", 1, stack)
        time.sleep(before)
        assert smtpd.log[-1]["event"] == "started"
        crowd(smtpd, "127.0.0.5", 4, stack)
        end = time.monotonic() + within
        while crowd(smtpd, "127.0.0.6", 1, stack) != [GREETED]:
            assert time.monotonic() < end, "nobody has gone"
            time.sleep(0.2)


def test_while_few_sessions_are_left_the_idle_ones_go_first(tmp_path: Path) -> None:
    """A flood from many addresses: whoever brings nothing is kept for five minutes then (here: half a second), not for an hour."""
    with serving(tmp_path, change=CROWDED, maxsessions="8") as smtpd:
        the_idle_make_room(smtpd)


def refusals_are_counted(smtpd: Smtpd, clients: int, sessions: int, most: int) -> None:
    """So many clients are refused 60 recipients in each of so many sessions; most: lines of the log."""
    said = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n" + b"RCPT TO:<nobody@example.org>\r\n" * 60 + b"QUIT\r\n"
    for number in range(clients * sessions):
        with smtpd.connect(f"127.0.1.{number % clients + 1}") as client:
            assert client.reply()[:3] == GREETED
            client.send(said)
            while (line := client.line())[:3] != b"221":
                assert line
    smtpd.process.terminate()  # at its end it tells what it has counted
    smtpd.process.wait(60)
    written = sum(line["event"] == "refused" for line in smtpd.log)
    assert written <= most, f"{written} lines"
    counted = sum(line["lines"] for line in smtpd.log if line["event"] == "repeated")
    assert written + counted == clients * sessions * 60


# clients, sessions of each, lines: a minute may end meanwhile, then twice as many are right
FLOODS = {"of-one-client": (1, 5, 2 * 100), "of-many-clients": (25, 2, 2 * 1000)}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_refusals_again_and_again_are_a_few_lines_of_the_log(tmp_path: Path, flood: tuple[int, int, int]) -> None:
    """100 a minute for each client, 1,000 for all; the others are counted, and none is missing."""
    with serving(tmp_path) as smtpd:
        refusals_are_counted(smtpd, *flood)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_whose_sessions_count_together(one: str, other: str, together: bool) -> None:
    """A customer of IPv6 has 2^64 addresses, and counts as one client."""
    found = {policy.network(ipaddress.ip_address(each)) for each in (one, other)}
    assert (len(found) == 1) is together
