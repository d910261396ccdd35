"""The smtpd program: one of several processes that share the listeners' ports (SO_REUSEPORT)."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Coroutine

from appliance import door, event_loop, log, partition, sandbox
from appliance.intake import Intake
from appliance.listener import allow_many_sessions, listen
from appliance.smtpd.server import Server
from appliance.state import State

BACKLOG = 1024


def main(state: State) -> int:
    """Serve until SIGTERM, or until a new generation changes the listeners; the exit status."""
    with asyncio.Runner(loop_factory=event_loop.new) as runner:
        return runner.run(_serve(state))


async def _serve(state: State) -> int:
    loop = asyncio.get_running_loop()
    log.setup("smtpd", loop.call_soon, wait=loop.call_later)
    allow_many_sessions()
    terminated = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminated.set)
    where = ""
    try:
        hello = door.hello("smtpd", door.read_token(state, "smtpd"))
        server = Server(state, Intake(state, "smtpd", ask=True), hello)
        where = (server.configuration.settings.listen or b"").decode("ascii", "replace")
        listener = listen(server.configuration.settings.listen) if server.configuration.settings.listen else None
    except (OSError, LookupError, ValueError) as error:
        log.trouble("smtpd can't start", f"{where}: {error}" if where else error)
        log.flush()
        return 1
    port = listener.getsockname()[1] if listener else 0
    await server.door.shared.found(terminated)
    if listener:
        serving = await loop.create_server(server.session, sock=listener, backlog=BACKLOG)
    # it listens, and has read nothing: the loop has not turned since
    for sentence in sandbox.lock(partition.receiving(state, (port,) if port else ())):
        log.warning(sentence)
    # what is here stays, and a session leaves no cycles: look for garbage seldom and only among the new
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 20)
    log.started(server.configuration.settings.generation.name, port=port)
    await _first(terminated.wait(), server.watch())
    log.stopping("SIGTERM" if terminated.is_set() else "the listeners changed")
    if listener:
        serving.close()
    await server.stop()
    server.door.shared.close()
    log.stopped()
    log.flush()
    return 0


async def _first(*coroutines: Coroutine[None, None, object]) -> None:
    """Wait for the first to end; the others are cancelled. Raises what it raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for task in done:
        task.result()
