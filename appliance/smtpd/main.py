"""The smtpd program: one of several processes that share the listeners' ports (SO_REUSEPORT)."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Coroutine

import uvloop

from appliance import door, endpoint, log, sandbox
from appliance.intake import Intake
from appliance.smtpd.server import Server
from appliance.state import State

BACKLOG = 1024
QUEUE_WAIT = 5.0  # seconds; after that clients are served all the same and hear 451 until the queue is there


def main(state: State) -> int:
    """Serve until SIGTERM, or until a new generation changes the listeners; the exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(state))


async def _serve(state: State) -> int:
    loop = asyncio.get_running_loop()
    log.setup("smtpd", loop.call_soon)
    _allow_many_sessions()
    terminated = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminated.set)
    where = ""
    try:
        hello = door.hello("smtpd", door.read_token(state, "smtpd"))
        server = Server(state, Intake(state, "smtpd"), hello)
        where = (server.settings.listen or b"").decode("ascii", "replace")
        listener = listen(server.settings.listen) if server.settings.listen else None
    except (OSError, LookupError, ValueError) as error:
        log.trouble("smtpd can't start", f"{where}: {error}" if where else error)
        log.flush()
        return 1
    port = listener.getsockname()[1] if listener else 0
    lacking = sandbox.lock(sandbox.Rules(read=(state.generations,), bind=(port,) if port else ()))
    for sentence in lacking:
        log.warning(sentence)
    await _queue_is_there(server.door.shared, terminated)
    if listener:
        serving = await loop.create_server(server.session, sock=listener, backlog=BACKLOG)
    # what is here stays, and a session leaves no cycles: look for garbage seldom and only among the new
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 20)
    log.started(server.settings.generation.name, port=port)
    await _first(terminated.wait(), server.watch())
    log.stopping("SIGTERM" if terminated.is_set() else "the listeners changed")
    if listener:
        serving.close()
    await server.stop()
    server.door.shared.close()
    log.stopped()
    log.flush()
    return 0


def listen(address: bytes) -> socket.socket:
    """A listening socket for `host:port`, IPv6 in brackets. Raises OSError, ValueError."""
    ip, port = endpoint.parse(address)
    listener = socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if ip.version == 6:  # [::] is every address, IPv4's too, whatever the system's default
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((str(ip), port))
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _allow_many_sessions() -> None:
    """As many descriptors as we may have: the soft limit is often 1,024, and a session needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning(f"the limit of open files can't be raised: {error}")


async def _queue_is_there(intake: Intake, terminated: asyncio.Event) -> None:
    for _ in range(int(QUEUE_WAIT / 0.05)):
        if intake.connected or terminated.is_set():
            return
        intake.connect()
        await asyncio.sleep(0.05)


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
