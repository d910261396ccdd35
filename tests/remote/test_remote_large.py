"""Messages that are streamed from a descriptor."""

import os

import pytest
from remote_parts import Peer, delivery, make_state, on_uvloop, relaying


@pytest.mark.parametrize("ehlo", [b"250-peer\r\n250 PIPELINING", b"250 peer"])
def test_a_large_message_is_streamed(tmp_path, ehlo):
    """Its content comes as a descriptor and arrives byte for byte, between small ones."""
    body = tmp_path / "body"
    line = b".a line with a dot at its start, and so on and on\n"
    body.write_bytes(line * 20_000)

    async def run():
        async with Peer(EHLO=ehlo).serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}", concurrencyremote="1", timeoutremote="10")
            async with relaying(state) as queue:
                large = [delivery(n, content=None, size=len(line) * 20_000) for n in (2, 3)]
                queue.bodies = {item.message: body for item in large}
                await queue.give(delivery(1), *large, delivery(4), delivery(5, content=None))
                assert await queue.results(1, 2, 3, 4) == "K K K K"
                assert await queue.results(5) == "Z"  # the queue has no content for it
            wire = (b"." + line[:-1] + b"\r\n") * 20_000
            assert [len(message) for message in peer.messages] == [37, len(wire), len(wire), 37]
            assert peer.messages[1] == peer.messages[2] == wire

    on_uvloop(run())


def test_a_peer_that_drops_in_the_middle_of_a_large_message(tmp_path):
    """No dot was sent: it has nothing, and there is no talk of a duplicate."""
    body = tmp_path / "body"
    body.write_bytes(b"x" * 79 + b"\n")
    with body.open("ab") as file:
        file.truncate(50_000_000)

    async def run():
        class Deaf(Peer):
            async def _answer(self, writer, step, line):
                answer = await super()._answer(writer, step, line)
                if step == "DATA":
                    raise ConnectionResetError
                return answer

        async with Deaf().serving() as peer:
            peer.answers["EHLO"] = b"250 PIPELINING"
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                large = delivery(1, content=None, size=50_000_000)
                queue.bodies[large.message] = body
                await queue.give(large)
                assert await queue.results(1) == "Z"
                assert b"duplicate" not in queue.reports[1][0].text

    on_uvloop(run())


def test_no_descriptor_is_left_open(tmp_path):
    """Refused before, in the middle of or after the content: its file is closed."""
    body = tmp_path / "body"
    body.write_bytes(b"x\n" * 100_000)

    async def run():
        answers = {"MAIL": b"550 no", "RCPT": b"550 no", "DATA": b"550 no", "DOT": b"550 no"}
        before = None
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}", concurrencyremote="1")
            async with relaying(state) as queue:
                for number, (step, answer) in enumerate([("DOT", b"250 ok"), *answers.items()], 1):
                    good, peer.answers[step] = peer.answers[step], answer
                    large = delivery(number, content=None, size=200_000)
                    queue.bodies[large.message] = body
                    await queue.give(large)
                    assert await queue.results(number) == ("K" if number == 1 else "D")
                    peer.answers[step] = good
                    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if exists(fd)]
                    assert str(body) not in opened
                    before = before or len(opened)
                    assert len(opened) <= before + 2

    on_uvloop(run())


def exists(fd: str) -> bool:
    """The folder's own descriptor is gone once it was read."""
    return os.path.islink(f"/proc/self/fd/{fd}")
