"""The qmtpd program: QMTP and QMQP, on those of their ports that the configuration names."""

import asyncio
import gc
import signal

from appliance import door, event_loop, log, partition, sandbox
from appliance.intake import Intake
from appliance.listener import allow_many_sessions, listen
from appliance.qmtpd.handover import Door
from appliance.qmtpd.server import Server
from appliance.qmtpd.wire import PIECE
from appliance.state import State

BACKLOG = 1024


def main(state: State) -> int:
    """Serve until SIGTERM; the exit status."""
    with asyncio.Runner(loop_factory=event_loop.new) as runner:
        return runner.run(_serve(state))


async def _serve(state: State) -> int:
    loop = asyncio.get_running_loop()
    log.setup("qmtpd", loop.call_soon, wait=loop.call_later)
    allow_many_sessions()
    terminated = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminated.set)
    where = b""
    sockets = {}
    try:
        hello = door.hello("qmtpd", door.read_token(state, "qmtpd"))
        shared = Intake(state, "qmtpd")
        server = Server(state, Door(state, shared, hello))
        for name, where in server.configuration.settings.listen.items():  # told if it fails
            sockets[name] = listen(where)
    except (OSError, LookupError, ValueError) as error:
        log.trouble("qmtpd can't start", f"{where.decode('ascii', 'replace')}: {error}")
        log.flush()
        return 1
    ports = {name.decode(): each.getsockname()[1] for name, each in sockets.items()}
    await shared.found(terminated)
    serve = {b"qmtp": server.qmtp, b"qmqp": server.qmqp}
    serving = [
        await asyncio.start_server(serve[name], sock=each, backlog=BACKLOG, limit=PIECE)
        for name, each in sockets.items()
    ]
    # it listens, and has read nothing: the loop has not turned since
    for sentence in sandbox.lock(partition.receiving(state, ports.values())):
        log.warning(sentence)
    gc.collect()
    gc.freeze()
    log.started(server.configuration.settings.generation.name, **ports)
    await terminated.wait()
    log.stopping("SIGTERM")
    for each in serving:
        each.close()
    await server.stop()
    shared.close()
    log.stopped()
    log.flush()
    return 0
