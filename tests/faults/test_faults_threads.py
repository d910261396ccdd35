"""A program that can't have another thread puts mail off, and carries it on as soon as it can have one."""

import poplib
from pathlib import Path

import pytest
from fault_post import Post, wait_until
from fault_trace import Point, injecting, usable

pytestmark = pytest.mark.skipif(not usable(), reason="strace can't trace a running process here")
NO_THREADS = Point("clone,clone3", "EAGAIN", 1, lasting=True)


@pytest.fixture
def post(tmp_path):
    post = Post(tmp_path)
    post.appliance.start()
    yield post
    post.appliance.kill_all()


def _login(post: Post) -> bytes:
    """What a person who logs in is answered."""
    session = poplib.POP3("127.0.0.1", post.ports["pop3"], timeout=30)
    try:
        session.user("reader@example.org")
        return session.pass_("a secret")
    except poplib.error_proto as error:
        return bytes(error.args[0])
    finally:
        session.close()


def test_without_threads_mail_is_put_off_and_then_goes_on(post: Post, tmp_path: Path) -> None:
    """The queue's for a large message, remote's that reads it, local's for a program, pop3d's for passwords: the first of each process."""
    (large, small) = post.write("large", "program")
    with injecting(post.pid("queue"), tmp_path / "trace", NO_THREADS):
        assert not post.attempt(large)
        assert large.answers == [451]
    abroad = post.write("abroad")
    with injecting(post.pid("remote"), tmp_path / "trace", NO_THREADS):
        post.send_all(abroad)
        wait_until(lambda: post.appliance.log("deferred"), 30, "the large message is put off")
    with injecting(post.pid("local"), tmp_path / "trace", NO_THREADS):
        post.send_all([small])
        wait_until(lambda: len(post.appliance.log("deferred")) > 1, 30, "the program's message is put off")
    with injecting(post.pid("pop3d"), tmp_path / "trace", NO_THREADS):
        assert _login(post).startswith(b"-ERR [SYS/TEMP]")
    assert _login(post).startswith(b"+OK")
    post.send_all([large])
    post.settle([large, small, *abroad], 30)
    assert post.duplicates() == 0
    assert not post.wrong
    assert list(post.state.bodies.iterdir()) == []  # of what was refused nothing is left
