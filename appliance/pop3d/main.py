"""The pop3d program: one process, whose sessions share threads for the disk and for hashing."""

import asyncio
import gc
import os
import signal

import uvloop

from appliance import log, sandbox
from appliance.listener import listen
from appliance.pop3d.commands import LINE
from appliance.pop3d.server import Server
from appliance.state import State

BACKLOG = 256


def main(state: State) -> int:
    """Serve until SIGTERM; the exit status."""
    os.umask(0o077)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(state))


async def _serve(state: State) -> int:
    loop = asyncio.get_running_loop()
    log.setup("pop3d", loop.call_soon)
    terminated = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminated.set)
    where = b""
    try:
        server = Server(state)
        where = server.configuration.settings.listen or b""
        listener = listen(where, shared=False)
        lacking = sandbox.lock(_rules(state, server, listener.getsockname()[1]))
    except (OSError, LookupError, ValueError) as error:
        log.trouble("pop3d can't start", f"{where.decode('ascii', 'replace')}: {error}")
        log.flush()
        return 1
    for sentence in lacking:
        log.warning(sentence)
    serving = await asyncio.start_server(server.serve, sock=listener, backlog=BACKLOG, limit=LINE)
    gc.collect()
    gc.freeze()
    log.started(server.configuration.settings.generation.name, port=listener.getsockname()[1])
    await terminated.wait()
    log.stopping("SIGTERM")
    serving.close()
    await server.stop()
    log.stopped()
    log.flush()
    return 0


def _rules(state: State, server: Server, port: int) -> sandbox.Rules:
    """Mailboxes may change; secrets may be read, here and where the configuration says they are."""
    for folder in (state.mail, state.secrets):
        folder.mkdir(mode=0o700, exist_ok=True)
    outside = tuple(folder for folder in server.configuration.settings.folders if folder.is_dir())
    return sandbox.Rules(read=(state.generations, state.secrets, *outside), write=(state.mail,), bind=(port,))
