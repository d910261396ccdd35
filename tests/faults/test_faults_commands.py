"""A command whose system call fails says that it may be tried again, or has queued its message: never neither."""

import os
import subprocess
from pathlib import Path

import pytest
from fault_post import Post, Sent
from fault_table import errors
from fault_trace import Point, calls_of, usable
from today import todays

pytestmark = pytest.mark.skipif(not usable(), reason="strace can't be used here")

COMMANDS = {"qmail-inject": (111,), "sendmail": (75, 111)}  # and how each says that it may be tried again
SHARES = 48  # runs until every fault was tried once


class Sender:
    """Messages by a command of this machine."""

    def __init__(self, post: Post, folder: Path, name: str) -> None:
        self._post, self._folder, self._name = post, folder, name
        self.trace = folder / "trace"

    def send(self, *strace: str) -> tuple[int, str, Sent]:
        """Its exit status, what it said, and the message."""
        (message,) = self._post.write("large")
        program = Path(self._post.paperpath).with_name(self._name)
        command = ["strace", "-f", "-yy", "-s", "0", "-o", self.trace, *strace, program, *message.letter.recipients]
        done = subprocess.run(
            command,
            check=False,
            input=message.content.replace(b"\r\n", b"\n"),
            capture_output=True,
            env={
                **os.environ,
                "PAPERPATH_STATE": str(self._post.state.root),
                "QMAILSUSER": "sender",
                "QMAILSHOST": "example.org",
            },
        )
        message.answers.append(250 if done.returncode == 0 else 0)
        return done.returncode, done.stderr.decode(), message


def _points(trace: Path, root: Path) -> list[Point]:
    """Faults of what is about mail: stdin, the doors, the state folder; not of Python's start."""
    about = (str(root), "socket:", "UNIX", "pipe:", "AF_UNIX")
    found = [call for call, line in calls_of(trace) if any(word in line for word in about)]
    return list(dict.fromkeys(Point(c.name, error, c.number) for c in found for error in errors(c.name, c.kind) or ()))


@pytest.fixture(scope="module")
def post(tmp_path_factory):
    post = Post(tmp_path_factory.mktemp("commands"))
    post.appliance.start()
    yield post
    post.appliance.kill_all()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_fails_for_now_or_its_message_arrives(name, post, tmp_path, capsys):
    """Exit status 0: it is there.  Else one that mail programs understand, and the message may be sent again."""
    sender = Sender(post, tmp_path, name)
    status, said, message = sender.send()
    assert status == 0, said
    points = _points(sender.trace, post.state.root)
    mine = todays(points, SHARES)
    for point in mine:
        status, said, message = sender.send("-e", f"inject={point.call}:error={point.error}:when={point.number}")
        assert status in (0, *COMMANDS[name]), f"{point}: {status} {said}"
        post.settle([message])
    with capsys.disabled():
        print(f"\n{name}: {len(mine)} of {len(points)} faults")
    assert len(points) > 20
    assert not post.wrong
