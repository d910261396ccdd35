"""QMTP out, broken off in the middle of a large package."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest
from remote_parts import delivery, make_state, on_uvloop, relaying

SIZE = 30_000_000


@pytest.fixture
def body(tmp_path):
    path = tmp_path / "body"
    path.write_bytes(b"Subject: large\n\n")
    os.truncate(path, SIZE)
    return path


@asynccontextmanager
async def serving(talk):
    """A peer; its port."""
    tasks = []

    async def serve(reader, writer):
        tasks.append(asyncio.current_task())
        try:
            await talk(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_content_is_closed_once_when_the_peer_drops_in_the_middle_of_it(tmp_path, body, monkeypatch):
    """A second time it could be somebody else's connection that is closed."""
    wrong, close = [], os.close

    def strict(fd):
        try:
            close(fd)
        except OSError:
            wrong.append(fd)
            raise

    async def talk(reader, _writer):
        await reader.read(100_000)

    async def run():
        async with serving(talk) as port:
            state = make_state(tmp_path, qmtproutes=f":127.0.0.1:{port}")
            async with relaying(state) as queue:
                large = delivery(1, content=None, size=SIZE)
                queue.bodies[large.message] = body
                await queue.give(large)
                assert await queue.results(1) == "Z"
                assert b"duplicate" not in queue.reports[1][0].text
                await asyncio.sleep(0.1)

    monkeypatch.setattr(os, "close", strict)
    on_uvloop(run())
    assert wrong == []


def test_a_large_package_is_not_finished_after_its_lease_is_lost(tmp_path, body):
    """The queue gives it to somebody anew; what the peer has whole is waited for, and remembered."""
    seen = []

    async def run():
        lost, ended = asyncio.Event(), asyncio.Event()

        async def talk(reader, writer):
            await reader.readuntil(b"bob@example.net,,")  # the small one
            await reader.readexactly(1_000_000)
            lost.set()
            await asyncio.sleep(0.3)
            writer.write(b"8:Kok then,")
            try:
                while data := await reader.read(1 << 20):
                    seen.append(len(data))
            except ConnectionError:
                pass
            ended.set()

        async with serving(talk) as port:
            state = make_state(tmp_path, qmtproutes=f":127.0.0.1:{port}", timeoutremote="5")
            async with relaying(state) as queue:
                small, large = delivery(1), delivery(2, content=None, size=SIZE)
                queue.bodies[large.message] = body
                await queue.give(small)
                await queue.give(large)
                await lost.wait()
                await queue.stop()
                await asyncio.wait_for(ended.wait(), 10)
                assert small.message in queue.remote._remembered
                assert large.message not in queue.remote._remembered
                await queue.start()

    on_uvloop(run())
    assert sum(seen) < SIZE - 2_000_000


def test_a_content_that_cant_be_read_spoils_no_other_package(tmp_path):
    """It is deferred by itself; the one before is accepted, and the connection goes on."""

    async def run():
        async def talk(reader, writer):
            for _ in range(2):
                await reader.readuntil(b"bob@example.net,,")
            writer.write(b"8:Kok then," * 2)
            await reader.read()

        async with serving(talk) as port:
            state = make_state(tmp_path, qmtproutes=f":127.0.0.1:{port}", concurrencyremote="1")
            async with relaying(state) as queue:
                await queue.give(delivery(1), delivery(2, content=None, size=SIZE), delivery(3))
                assert await queue.results(1, 2, 3) == "K Z K"
                assert b"duplicate" not in queue.reports[2][0].text

    on_uvloop(run())
