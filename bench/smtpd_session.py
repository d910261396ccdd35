"""What one SMTP session costs smtpd: messages/s and CPU per message, without storing anything.

The real program on one core, a fake queue that says K at once, a client of its own on loopback.

    .venv/bin/python bench/smtpd_session.py [--messages N] [--reuse N] [--sessions N] [--size BYTES] [--profile]
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import os
import pstats
import signal
import tempfile
import time
from pathlib import Path

import uvloop

from appliance import door, netstring, users
from appliance.intake import FRAME
from appliance.safeio import replace_link
from appliance.smtpd.main import main as smtpd
from appliance.state import State


class Queue(asyncio.Protocol):
    """Accepts everything and forgets it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.decoder, self.greeted = transport, netstring.Decoder(FRAME), False

    def data_received(self, data: bytes) -> None:
        count = len(self.decoder.feed(data))
        if not self.greeted:
            self.greeted, count = True, count - 1
        self.transport.write(netstring.encode(b"K1jzv3x0q8ma") * count)


class Client(asyncio.Protocol):
    """Sends messages, `reuse` on a connection, and connects again."""

    def __init__(self, work: "Work", port: int, reuse: int, content: bytes) -> None:
        self.work, self.port, self.reuse, self.content = work, port, reuse, content

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.sent = transport, 0
        self.expect = [b"220"]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.endswith(b"\r\n") or self.buffer[self.buffer.rfind(b"\n", 0, -1) + 4 :][:1] == b"-":
            return
        reply, self.buffer = self.buffer, b""
        if reply.startswith(b"220"):
            self.transport.write(b"EHLO client.example\r\n")
        elif reply.startswith(b"221"):
            self.transport.close()
        elif reply.startswith(b"354"):
            self.transport.write(self.content)
            self.sent += 1
        elif reply.startswith((b"250-", b"250 2.0.0 accepted")):
            if self.sent:
                self.work.done += 1
            if self.sent < self.reuse:
                self.step = iter((b"RCPT TO:<alice@example.org>\r\n", b"DATA\r\n"))
                self.transport.write(b"MAIL FROM:<sender@example.net>\r\n")
            else:
                self.transport.write(b"QUIT\r\n")
        elif reply.startswith(b"250 "):
            self.transport.write(next(self.step))
        else:
            raise SystemExit(f"unexpected: {reply!r}")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the interface
        self.work.next(self)


class Work:
    """Messages left to send."""

    def __init__(self, messages: int) -> None:
        self.left, self.done = messages, 0
        self.finished = asyncio.Event()
        self.running = 0

    def next(self, client: Client) -> None:
        self.running -= 1
        self.start(client)

    def start(self, client: Client) -> None:
        if self.left <= 0:
            if not self.running:
                self.finished.set()
            return
        self.left -= client.reuse
        self.running += 1
        loop = asyncio.get_running_loop()
        self.connecting = loop.create_task(loop.create_connection(lambda: client, "127.0.0.1", client.port))


def serve_queue(path: str) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_unix_server(Queue, path)
        await server.serve_forever()

    uvloop.run(run())


def make_state(root: str) -> State:
    state = State(Path(root))
    state.run.mkdir()
    door.make_tokens(state)
    folder = state.generations / "bench"
    (folder / "control").mkdir(parents=True)
    (folder / "users").mkdir()
    assign = b"=example.org-alice:a:1:1:mail/a:::\n.\n"
    (folder / "users/cdb").write_bytes(users.build(assign))
    control = {"me": "mx.example.org", "virtualdomains": "example.org:example.org", "listen": "smtp:127.0.0.1:0"}
    for name, text in control.items():
        (folder / "control" / name).write_text(text + "\n")
    replace_link(state.generation, "bench")
    return state


def run_smtpd(state: State, log: str, profile: bool) -> None:
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    if not profile:
        raise SystemExit(smtpd(state))
    profiler = cProfile.Profile()
    profiler.runcall(smtpd, state)
    os.dup2(2, 1)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(28)


def cpu(pid: int) -> tuple[float, float]:
    """Seconds in the program itself, and in the kernel for it (loopback's TCP, mostly)."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) / os.sysconf("SC_CLK_TCK"), int(system) / os.sysconf("SC_CLK_TCK")


async def drive(options: argparse.Namespace, port: int) -> tuple[int, float]:
    line = b"x" * 70 + b"\r\n"
    content = b"Subject: bench\r\n\r\n" + line * (options.size // len(line)) + b".\r\n"
    work = Work(options.messages)
    for _ in range(options.sessions):
        work.start(Client(work, port, options.reuse, content))
    begun = time.monotonic()
    await work.finished.wait()
    return work.done, time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--messages", type=int, default=10000)
    parser.add_argument("--reuse", type=int, default=1, help="messages on a connection")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        state = make_state(root)
        fork = multiprocessing.get_context("fork")
        queue = fork.Process(target=serve_queue, args=(str(state.door("intake")),))
        program = fork.Process(target=run_smtpd, args=(state, f"{root}/log", options.profile))
        queue.start()
        program.start()
        while '"started"' not in (text := Path(f"{root}/log").read_text() if Path(f"{root}/log").exists() else ""):
            time.sleep(0.05)
        port = int(text.partition('"port": ')[2].partition("}")[0])
        before = cpu(program.pid)
        done, seconds = uvloop.run(drive(options, port))
        own, kernel = (after - earlier for after, earlier in zip(cpu(program.pid), before, strict=True))
        used = own + kernel
        print(
            f"{done} messages of {options.size} bytes, {options.reuse} a connection, {options.sessions} sessions: "
            f"{done / seconds:.0f}/s, CPU of smtpd a message {used / done * 1e6:.0f} us (own {own / done * 1e6:.0f}, kernel "
            f"{kernel / done * 1e6:.0f}), {done / used:.0f}/s on a core"
        )
        os.kill(program.pid, signal.SIGTERM)
        program.join()
        queue.terminate()
        queue.join()


if __name__ == "__main__":
    main()
