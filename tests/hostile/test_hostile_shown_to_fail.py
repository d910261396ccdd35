"""Each check that the doors and the limits stand on is taken out of a copy, and its attack succeeds."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mutation"))
import test_hostile_doors as doors
import test_hostile_smtp as smtp
from hostile_queue import Queue
from mutant import Mutant

SUCCEEDS = (AssertionError, TimeoutError, pytest.fail.Exception)

ROWS = [
    (
        "a content is for whoever holds its lease",
        {"queue/worker.py": [("self._channel.holds(self._process, message)", "message in self._service.messages")]},
        doors.the_content_of_what_is_not_held,
    ),
    (
        "a content is for the process that holds its lease",
        {"queue/leases.py": [("if worker.process == process", "")]},
        doors.the_content_of_what_is_not_held,
    ),
    (
        "a report is taken from whoever holds the lease",
        {
            "queue/worker.py": [
                ("self.worker.leased.pop(number, None) if self.worker else None", "self._channel.held.get(number)")
            ]
        },
        doors.reports_of_what_is_not_held,
    ),
    (
        "what is unfinished is limited",
        {"queue/present.py": [("if self._unfinished[role] <= UNFINISHED", "if True")]},
        doors.frames_that_never_end,
    ),
    (
        "a hello is short",
        {"queue/door.py": [("self._decoder.kept > HELLO", "False")]},
        doors.a_hello_without_end,
    ),
    (
        "strangers make room",
        {"queue/present.py": [("if len(self._strangers) > STRANGERS", "if False")]},
        doors.more_strangers_than_fit,
    ),
    (
        "each role has its share of large messages",
        {"queue/intake.py": [("Intake.large[self.role] >= LARGE[self.role]", "False")]},
        doors.uploads_that_never_end,
    ),
    (
        "whoever reads no answers is not heard",
        {"queue/door.py": [("        self._stuffed = True\n", "        return\n")]},
        doors.answers_that_nobody_reads,
    ),
]


@pytest.mark.parametrize(("guarantee", "change", "attack"), ROWS, ids=[row[0].replace(" ", "-") for row in ROWS])
def test_without_its_check_an_attack_on_the_queue_succeeds(tmp_path: Path, guarantee, change, attack) -> None:
    """The same attack that the queue as it is withstands."""
    queue = Queue(tmp_path, Mutant(tmp_path, change).environment, 1.5, databytes="1000000")
    try:
        with contextlib.ExitStack() as stack, pytest.raises(SUCCEEDS):
            attack(queue, stack)
    finally:
        queue.kill()


def the_pace_is_looked_at(smtpd: smtp.Smtpd) -> None:
    """Content that comes drop by drop is left after a second and a half; this waits for two and a half."""
    with smtpd.connect() as client:
        client.begin()
        for _ in range(25):
            smtp.content_drop_by_drop(client)
            time.sleep(0.1)
        assert [line for line in smtpd.log if line["event"] == "session_ended"]


def the_count_ends_a_session(commands: list[bytes]) -> Callable[[smtp.Smtpd], None]:
    """Said a hundred times, of which ten are allowed."""

    def attack(smtpd: smtp.Smtpd) -> None:
        with smtpd.connect() as client:
            smtp.greeted(client)
            assert client.say(b"MAIL FROM:<sender@example.net>")[:3] == b"250"
            assert smtp.goes(client, *commands, most=100)[:3] == b"421"

    return attack


SMTP = [  # the guarantee, what is changed, the attack, control files
    (
        "an address has so many sessions",
        {"smtpd/server.py": [("self._per_client[network] >= settings.max_sessions_per_client", "False")]},
        smtp.one_address_has_so_many_sessions,
        {"maxsessionsperclient": "10", "maxsessions": "11"},
    ),
    (
        "content comes at a pace",
        {"smtpd/conduct.py": [("now - self.began > self._settings.timeout + size / PACE", "False")]},
        the_pace_is_looked_at,
        {"timeoutsmtpd": "1"},
    ),
    (
        "idle clients make room when it is crowded",
        {"smtpd/server.py": [*smtp.CROWDED["smtpd/server.py"], ("CROWDED if crowded else math.inf", "math.inf")]},
        lambda smtpd: smtp.the_idle_make_room(smtpd, 0.0, 3.0),
        {"maxsessions": "8"},
    ),
    *(
        (
            f"a session has so many {name}",
            {"smtpd/conduct.py": [(f"self._{name} >= self._settings.max_{name}", "False")]},
            the_count_ends_a_session(commands),
            {f"max{name}": "10"},
        )
        for name, commands in (
            ("errors", [b"GET / HTTP/1.1"]),
            ("refusals", [b"RCPT TO:<nobody@example.org>"]),
            ("commands", [b"NOOP"]),
        )
    ),
    (
        "a client has so many lines of the log",
        {"log_flood.py": [("self._written[key] < self._each", "True")]},
        lambda smtpd: smtp.refusals_are_counted(smtpd, *smtp.FLOODS["of-one-client"]),
        {},
    ),
    (
        "all clients have so many lines of the log",
        {"log_flood.py": [("self._written[everybody] < self._most", "True")]},
        lambda smtpd: smtp.refusals_are_counted(smtpd, *smtp.FLOODS["of-many-clients"]),
        {},
    ),
]


@pytest.mark.parametrize(
    ("guarantee", "change", "attack", "control"), SMTP, ids=[row[0].replace(" ", "-") for row in SMTP]
)
def test_without_its_check_an_attack_on_smtpd_succeeds(tmp_path: Path, guarantee, change, attack, control) -> None:
    """A session in all, its time, its counts, its lines of the log."""
    with smtp.serving(tmp_path, change=change, **control) as smtpd, pytest.raises(SUCCEEDS):
        attack(smtpd)
