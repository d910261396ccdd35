"""The program itself, in a process of its own and locked in."""

import asyncio
import json
import signal
import sys

from name_server import NameServer
from remote_parts import Peer, Queue, activate, delivery, make_state, on_uvloop

PROGRAM = "import sys, pathlib; from appliance.state import State; from appliance.remote.main import main; "
PROGRAM += "sys.exit(main(State(pathlib.Path(sys.argv[1]))))"


async def start(state):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(state.root), stdout=asyncio.subprocess.PIPE
    )


async def logged(process, event):
    """The lines up to the first of this event."""
    lines = []
    async with asyncio.timeout(60):
        while not lines or lines[-1]["event"] != event:
            lines.append(json.loads(await process.stdout.readline()))
    return lines


async def finish(process):
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return [json.loads(line) for line in output.splitlines()]


def test_the_program_delivers_and_stops(tmp_path):
    """It waits for the queue, delivers, logs each recipient, and ends with 0 on SIGTERM."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            process = await start(state)
            await asyncio.sleep(0.5)
            queue = Queue(state)
            await queue.start()
            await queue.give(delivery(1, b"a@x.example", b"b@x.example"))
            assert await queue.results(1) == "KK"
            process.send_signal(signal.SIGTERM)
            lines = await finish(process)
            await queue.stop()
            assert process.returncode == 0
            assert queue.hellos[0].startswith(b"remote ")
            delivered = [line for line in lines if line["event"] == "delivered"]
            assert [line["recipient"] for line in delivered] == ["a@x.example", "b@x.example"]
            assert delivered[0]["to"] == f"127.0.0.1[127.0.0.1]:{peer.port}"
            assert [line["event"] for line in lines if line["event"] not in ("delivered", "warning")] == [
                *("started", "stopping", "stopped"),
            ]

    on_uvloop(run())


def test_a_locked_in_program_asks_dns(tmp_path):
    """The name servers in control/resolvers find the relay, from within the sandbox."""

    async def run():
        records = {("relay.example", "A"): ["127.0.0.1"]}
        async with Peer().serving() as peer, NameServer(records).serving() as server:
            state = make_state(tmp_path, smtproutes=f":relay.example:{peer.port}", resolvers=f"127.0.0.1:{server.port}")
            queue = Queue(state)
            await queue.start()
            process = await start(state)
            await queue.give(delivery(1))
            assert await queue.results(1) == "K"
            process.send_signal(signal.SIGTERM)
            lines = await finish(process)
            await queue.stop()
            (delivered,) = [line for line in lines if line["event"] == "delivered"]
            assert delivered["to"] == f"relay.example[127.0.0.1]:{peer.port}"
            assert sorted(server.asked) == ["relay.example A", "relay.example AAAA"]

    on_uvloop(run())


def test_a_route_to_a_new_port_ends_the_program(tmp_path):
    """The sandbox allows no new port, so the program ends in order and is started anew."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            queue = Queue(state)
            await queue.start()
            process = await start(state)
            await queue.give(delivery(1))
            assert await queue.results(1) == "K"
            activate(state, "two", smtproutes=":127.0.0.1:1")
            lines = await finish(process)
            await queue.stop()
            assert process.returncode == 0
            assert "port" in next(line["reason"] for line in lines if line["event"] == "stopping")

    on_uvloop(run())


def test_a_generation_that_can_not_be_read_changes_nothing(tmp_path):
    """The last good one stays in force, and the log says so once."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            queue = Queue(state)
            await queue.start()
            process = await start(state)
            await queue.give(delivery(1))
            assert await queue.results(1) == "K"
            activate(state, "two", me="")
            lines = await logged(process, "trouble")
            await queue.give(delivery(2))
            assert await queue.results(2) == "K"
            await asyncio.sleep(0.6)  # for what must not come
            process.send_signal(signal.SIGTERM)
            lines += await finish(process)
            await queue.stop()
            assert [line["event"] for line in lines].count("trouble") == 1

    on_uvloop(run())
