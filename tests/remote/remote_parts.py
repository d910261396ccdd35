"""Parts for tests of remote: a queue that speaks the lease protocol, a peer that follows a script."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import uvloop

from appliance import door, lease, netstring
from appliance.control import Control
from appliance.lease import Delivery, Report
from appliance.remote.main import Remote
from appliance.remote.settings import Settings
from appliance.state import State

T = TypeVar("T")
DROP = object()  # close the connection instead of an answer
HANG = object()  # never answer
CONTENT = b"Subject: hello\n\nA line.\n.A dot.\n"


def make_state(folder: Path, **control: str) -> State:
    """A state folder whose generation has these control files."""
    state = State(folder / "state")
    state.run.mkdir(parents=True)
    door.make_tokens(state)
    activate(state, "one", **control)
    return state


def activate(state: State, name: str, **control: str) -> None:
    """Make and swap in a generation."""
    files = {"me": "mx.example.org", "timeoutconnect": "1", "timeoutremote": "1"} | control
    where = state.generations / name / "control"
    where.mkdir(parents=True)
    for file, text in files.items():
        (where / file).write_text(text + "\n")
    new = state.generations / "active.new"
    new.symlink_to(f"{name}")
    new.replace(state.generation)


def delivery(number: int, *recipients: bytes, content: bytes | None = CONTENT, size: int | None = None) -> Delivery:
    """A delivery to one domain."""
    to = recipients or (b"bob@example.net",)
    domain = to[0].rpartition(b"@")[2].lower()
    count = size if size is not None else len(content or b"")
    return Delivery(number, 1_700_000_000_000_000 + number, 1, domain, b"a@example.org", to, count, content)


class Queue:
    """The queue's side of the lease door."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.reports: dict[int, list[Report]] = {}
        self.bodies: dict[int, Path] = {}
        self.credit = 0
        self.hellos: list[bytes] = []
        self.remote: Remote | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.state.door("lease")))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        if self._writer is not None:
            self._writer.transport.abort()
        self._writer = None
        self.state.door("lease").unlink(missing_ok=True)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = netstring.Decoder(lease.FRAME)
        frames: list[bytes] = []
        while not frames:
            frames += decoder.feed(await reader.read(65536))
        self.hellos.append(frames.pop(0))
        if not frames:
            frames += decoder.feed(await reader.read(65536))
        if frames[0][:1] == b"B":
            await self._body(writer, int(frames[0][1:]))
            return
        self._writer, self.credit = writer, 0
        while True:
            for frame in frames:
                await self._take(frame)
            data = await reader.read(65536)
            if not data:
                break
            frames = decoder.feed(data)
        writer.close()

    async def _take(self, frame: bytes) -> None:
        if frame[:1] == b"W":
            self.credit += int(frame[1:])
        else:
            number, reports = lease.decode_report(frame)
            assert number not in self.reports, "reported twice"
            self.reports[number] = reports
        async with self._changed:
            self._changed.notify_all()

    async def _body(self, writer: asyncio.StreamWriter, message: int) -> None:
        raw = os.dup(writer.get_extra_info("socket").fileno())
        fd = os.open(self.bodies[message], os.O_RDONLY) if message in self.bodies else -1
        with socket.socket(fileno=raw) as connection:
            if fd >= 0:
                socket.send_fds(connection, [b"K"], [fd])
                os.close(fd)
        writer.close()

    async def until(self, condition: Callable[[], object], timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def give(self, *deliveries: Delivery) -> None:
        """Hand out, as credit allows."""
        for item in deliveries:
            await self.until(lambda: self._writer is not None and self.credit > 0)
            assert self._writer is not None
            self.credit -= 1
            self._writer.write(lease.encode_delivery(item))

    async def results(self, *numbers: int, timeout: float = 60.0) -> str:
        """The letters of these deliveries' reports, when all have come."""
        await self.until(lambda: all(number in self.reports for number in numbers), timeout)
        return " ".join("".join(report.result for report in self.reports[number]) for number in numbers)


class Peer:
    """An SMTP server that follows a script.

    answers  for each step (greeting EHLO HELO MAIL RCPT DATA DOT RSET): bytes, DROP, HANG, or a
             function of the command line
    """

    def __init__(self, **answers: object) -> None:
        self.answers: dict[str, object] = {
            "greeting": b"220 peer ESMTP",
            "EHLO": b"250-peer\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000",
            "HELO": b"250 peer",
            "MAIL": b"250 2.1.0 ok",
            "RCPT": b"250 2.1.5 ok",
            "DATA": b"354 go on",
            "DOT": b"250 2.0.0 queued as 1",
            "RSET": b"250 ok",
            "QUIT": b"221 bye",
            **answers,
        }
        self.connections: list[list[bytes]] = []
        self.messages: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, port: int = 0):
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def route(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def heard(self, verb: bytes) -> None:
        """Wait until a client has said this."""
        async with asyncio.timeout(10):
            while not any(line.startswith(verb) for lines in self.connections for line in lines):  # noqa: ASYNC110  # a test
                await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands: list[bytes] = []
        self.connections.append(commands)
        await self._answer(writer, "greeting", b"")
        while line := await reader.readline():
            commands.append(line)
            verb = line[:4].decode().strip().upper()
            reply = await self._answer(writer, verb, line)
            if verb == "DATA" and reply[:1] == b"3":
                lines = []
                while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
                    lines.append(line)
                self.messages.append(content := b"".join(lines))
                await self._answer(writer, "DOT", content)
            if verb == "QUIT":
                return

    async def _answer(self, writer: asyncio.StreamWriter, step: str, line: bytes) -> bytes:
        answer = self.answers.get(step, b"500 what?")
        if callable(answer):
            answer = answer(line)
        if answer is HANG:
            await asyncio.sleep(3600)
        if answer is DROP:
            raise ConnectionResetError
        assert isinstance(answer, bytes)
        writer.write(answer + b"\r\n")
        await writer.drain()
        return answer


@asynccontextmanager
async def relaying(state: State):
    """The remote program's heart in this event loop, and a queue for it."""
    queue = Queue(state)
    await queue.start()
    control = Control(state)
    remote = Remote(state, control, Settings.of(control.current()), lease.worker_hello(state, "remote"))
    queue.remote = remote
    running = asyncio.create_task(remote.run())
    try:
        yield queue
    finally:
        remote.stop("test")
        await running
        await asyncio.sleep(0.02)  # the last reports arrive
        await queue.stop()
        await asyncio.sleep(0.02)


def attempt(folder: Path, peer: Peer, *deliveries: Delivery, **control: str) -> list[list[Report]]:
    """Run deliveries against a peer; the reports of each."""

    async def run() -> list[list[Report]]:
        async with peer.serving():
            state = make_state(folder, smtproutes=f":{peer.route}", **control)
            async with relaying(state) as queue:
                await queue.give(*deliveries)
                await queue.results(*[item.id for item in deliveries])
                return [queue.reports[item.id] for item in deliveries]

    return on_uvloop(run())


def on_uvloop(coroutine: Coroutine[object, object, T]) -> T:
    """Run a test as the program runs."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)
