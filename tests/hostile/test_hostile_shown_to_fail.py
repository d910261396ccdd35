"""Each check that the doors and the limits stand on is taken out of a copy, and its attack succeeds."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mutation"))
import test_hostile_doors as doors
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
