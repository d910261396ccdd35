"""A call of pop3d that fails loses no message: it is in the mailbox until a client has it whole, and has said DELE and QUIT."""

import contextlib
import poplib
from pathlib import Path

import pytest
from fault_post import Post, wait_until
from fault_trace import Trace, injecting, points, usable
from today import todays

pytestmark = pytest.mark.skipif(not usable(), reason="strace can't trace a running process here")
SHARES = 70  # runs until every fault was tried once


class Session(poplib.POP3):
    """One that leaves no socket behind if it is not greeted."""

    def __init__(self, port: int) -> None:
        try:
            super().__init__("127.0.0.1", port, timeout=10)
        except BaseException:
            if hasattr(self, "file"):
                self.close()
            raise


class Fetcher:
    """A person who fetches what is there and removes it."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self.folder = post.state.mail / "example.org" / "reader" / "Maildir"
        self.got: set[bytes] = set()

    def put(self, number: int) -> bytes:
        """A message in the mailbox, as local would put it there."""
        text = b"Subject: %d\n\n" % number + b"a line of some length\n" * 5000
        (self.folder / "new" / f"{number}.test").write_bytes(text)
        return text

    def fetch(self) -> None:
        """A session. Raises OSError, poplib.error_proto, EOFError."""
        session = Session(self._post.ports["pop3"])
        try:
            session.user("reader@example.org")
            session.pass_("a secret")
            found = set()
            for number in range(1, len(session.list()[1]) + 1):
                found.add(b"\n".join(session.retr(number)[1]) + b"\n")
                session.dele(number)
            self.got |= found  # from here on it may be removed, whether or not we hear the answer
            session.quit()
        finally:
            session.close()

    def kept(self) -> set[bytes]:
        """What is in the mailbox."""
        return {path.read_bytes() for name in ("new", "cur") for path in (self.folder / name).iterdir()}


@pytest.fixture
def post(tmp_path):
    post = Post(tmp_path)
    post.appliance.start()
    yield post
    post.appliance.kill_all()


def _fetched(fetcher: Fetcher) -> bool:
    """Whether a session goes well from its greeting to its goodbye."""
    with contextlib.suppress(OSError, EOFError, poplib.error_proto):
        fetcher.fetch()
        return True
    return False


def test_a_fault_of_pop3d_loses_no_message(post: Post, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A share of its calls a day: after each fault a client that comes again gets what it has not."""
    fetcher = Fetcher(post)
    for name in ("tmp", "new", "cur"):
        (fetcher.folder / name).mkdir(parents=True)
    fetcher.put(0)
    fetcher.fetch()
    fetcher.put(1)
    with Trace(post.pid("pop3d"), tmp_path / "trace") as trace:
        fetcher.fetch()
    everything = points(trace.calls())
    mine = todays(everything, SHARES)
    for number, point in enumerate(mine, 2):
        text = fetcher.put(number)
        with (
            injecting(post.pid("pop3d"), tmp_path / "trace", point),
            contextlib.suppress(OSError, EOFError, poplib.error_proto),
        ):
            fetcher.fetch()
        assert text in fetcher.got | fetcher.kept(), f"{point}: lost"
        wait_until(lambda: _fetched(fetcher), 20, f"{point}: pop3d recovers")
        assert text in fetcher.got, f"{point}: lost"
    with capsys.disabled():
        print(f"\npop3d: {len(mine)} of {len(everything)} faults")
    assert len(mine) > 1
