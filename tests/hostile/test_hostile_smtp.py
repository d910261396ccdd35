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


def goes(client: Client, *commands: bytes) -> bytes:
    """Say them again and again until it is the end; the last reply."""
    reply = b""
    for _ in range(1000):
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


def a_command_without_end(client: Client) -> None:
    """A byte now and then: no progress."""
    client.send(b"N")


def commands_for_ever(client: Client) -> None:
    """Each in time, and no mail."""
    client.send(b"NOOP\r\n")


def content_drop_by_drop(client: Client) -> None:
    """Far below 1,000 bytes a second."""
    client.send(b"x" * 20)


SLOW: list[tuple[Callable[[Client], None], dict[str, str], bool, str]] = [
    (a_command_without_end, {"timeoutsmtpd": "1"}, False, "timeout"),
    (commands_for_ever, {"timeoutsmtpd": "60", "timeoutsession": "1"}, False, "too long without mail"),
    (content_drop_by_drop, {"timeoutsmtpd": "1"}, True, "too slow in DATA"),
]


@pytest.mark.parametrize(("drip", "control", "content", "reason"), SLOW, ids=[row[0].__name__ for row in SLOW])
def test_a_slow_client_is_not_kept(tmp_path: Path, drip, control: dict[str, str], content, reason: str) -> None:
    """Slow loris: what comes drop by drop does not keep a session; it hears 421 and is left."""
    with serving(tmp_path, **control) as smtpd, smtpd.connect() as client:
        if content:
            client.begin()
        else:
            greeted(client)
        end = time.monotonic() + 30
        with contextlib.suppress(ConnectionError):
            while not [line for line in smtpd.log if line["event"] == "session_ended"]:
                assert time.monotonic() < end
                drip(client)
                time.sleep(0.1)
        assert smtpd.wait_for("session_ended")["reason"] == reason
        if not content:
            while (reply := client.line()) and reply[:3] == b"250":
                pass
            assert reply.startswith(b"421 4.4.2")


def test_content_at_a_fair_pace_is_taken(tmp_path: Path) -> None:
    """RFC 5321 section 4.5.3.2: longer than one time-out in all, with pauses shorter than it."""
    with serving(tmp_path, timeoutsmtpd="1") as smtpd, smtpd.connect() as client:
        client.begin()
        for _ in range(6):
            client.send(b"x" * 998 + b"\r\n")
            time.sleep(0.4)
        assert client.say(b".")[:3] == b"250"


NO_ROOM = [(0, b"", b"452 4.3.1"), (0, b" SIZE=1", b"452 4.3.1"), (5000, b" SIZE=5000", b"452 4.3.1"), (5000, b" SIZE=4999", b"250"), (5000, b"", b"250")]  # fmt: skip


@pytest.mark.parametrize(("room", "size", "answer"), NO_ROOM)
def test_a_message_that_there_is_no_room_for_is_put_off_before_it_is_sent(tmp_path: Path, room, size, answer) -> None:
    """At MAIL, with its SIZE (RFC 1870 section 6.1); it is temporary, and the session goes on."""
    with serving(tmp_path, room=room) as smtpd, smtpd.connect() as client:
        greeted(client)
        end = time.monotonic() + 20
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


def test_without_the_limit_for_an_address_it_has_them_all(tmp_path: Path) -> None:
    """Shown to fail."""
    change = {"smtpd/server.py": [("self._per_client[network] >= settings.max_sessions_per_client", "False")]}
    with (
        serving(tmp_path, change=change, maxsessionsperclient="10", maxsessions="11") as smtpd,
        pytest.raises(AssertionError),
    ):
        one_address_has_so_many_sessions(smtpd)


def test_without_the_look_at_the_pace_a_slow_client_is_kept(tmp_path: Path) -> None:
    """Shown to fail."""
    change = {"smtpd/conduct.py": [("return now - self.began > self._settings.timeout + size / PACE", "return False")]}
    with serving(tmp_path, change=change, timeoutsmtpd="1") as smtpd, smtpd.connect() as client:
        client.begin()
        for _ in range(25):
            content_drop_by_drop(client)
            time.sleep(0.1)
        assert not [line for line in smtpd.log if line["event"] == "session_ended"]


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
