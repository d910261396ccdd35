"""What a hostile client may cost: memory stays small, whatever it sends and does not read."""

import contextlib
import threading
import time

import pytest

LINE = b"x" * 998 + b"\r\n"


@pytest.mark.parametrize("smtpd", [{"maxcommands": "1000000\n"}], indirect=True)
def test_replies_that_are_longer_than_their_commands_do_not_pile_up(smtpd):
    """A client that pipelines EHLO and reads nothing costs no more memory than the commands it sent."""
    count, clients = 30_000, 8
    before = smtpd.forget_peak()
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            client = stack.enter_context(smtpd.connect())
            client.reply()
            threading.Thread(target=client.send, args=(b"EHLO x\r\n" * count + b"QUIT\r\n",)).start()
        time.sleep(0.5)
        assert smtpd.memory() - before < clients * 1024 * 1024
        for _ in range(count):
            assert client.reply() == b"250 ENHANCEDSTATUSCODES"
        assert client.reply()[:3] == b"221"


@pytest.mark.parametrize("smtpd", [{"databytes": "0\n"}], indirect=True)
@pytest.mark.parametrize(("start", "answer"), [(b"", b"451"), (b"Received: x\r\n" * 100, b"554")])
def test_a_message_that_can_not_be_taken_is_not_kept_while_it_comes(smtpd, start, answer):
    """A large message costs no memory when the queue is gone, nor when it loops."""
    with smtpd.connect() as client:
        client.begin()
        smtpd.queue.stop()
        client.send(start + LINE * 1000)
        before = smtpd.forget_peak()
        for _ in range(40):
            client.send(LINE * 10_000)
        assert client.say(b".")[:3] == answer
        assert smtpd.memory() - before < 8 * 1024 * 1024
