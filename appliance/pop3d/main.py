"""The pop3d program: one process, whose sessions share threads for the disk and for hashing."""

import asyncio
import gc
import os
import signal

from appliance import event_loop, log, partition, safeio, sandbox
from appliance.listener import allow_many_sessions, listen
from appliance.pop3d.commands import LINE
from appliance.pop3d.server import Server
from appliance.state import State

BACKLOG = 256


def main(state: State) -> int:
    """Serve until SIGTERM; the exit status."""
    os.umask(0o077)
    with asyncio.Runner(loop_factory=event_loop.new) as runner:
        return runner.run(_serve(state))


async def _serve(state: State) -> int:
    loop = asyncio.get_running_loop()
    log.setup("pop3d", loop.call_soon, wait=loop.call_later)
    allow_many_sessions()
    where = b""
    try:
        server = Server(state)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.ask_to_end, "SIGTERM")
        where = server.configuration.settings.listen or b""
        listener = listen(where, shared=False)
        for folder in (state.mail, state.secrets):
            folder.mkdir(mode=0o700, exist_ok=True)
        safeio.keep_private(state.mail)
        serving = await asyncio.start_server(server.serve, sock=listener, backlog=BACKLOG, limit=LINE)
        port, folders = listener.getsockname()[1], server.configuration.settings.folders
        # it listens, and has read nothing: the loop has not turned since
        lacking = sandbox.lock(partition.pop3d(state, port, folders))
    except (OSError, LookupError, ValueError) as error:
        log.trouble("pop3d can't start", f"{where.decode('ascii', 'replace')}: {error}")
        log.flush()
        return 1
    for sentence in lacking:
        log.warning(sentence)
    gc.collect()
    gc.freeze()
    log.started(server.configuration.settings.generation.name, port=port)
    await server.asked_to_end.wait()
    log.stopping(server.why)
    serving.close()
    await server.stop()
    log.stopped()
    log.flush()
    return 0
