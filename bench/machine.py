"""The machine's facts and limits: what no mail server can pass here."""

import asyncio
import os
import platform
import signal
import socket
import time
from pathlib import Path
from statistics import median
from typing import cast

from bench.arrivals import Sink
from bench.contestant import ELSEWHERE
from bench.load import Load, accept
from bench.table import Raw


def facts(folder: Path) -> Raw:
    """Cores, kernel, memory, file system of `folder` and its fsync time."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu.partition(":")[2].strip(),
        "memory_gib": round(int(memory) / 2**20),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": file_system(folder),
        "fsync_ms": fsync_seconds(folder) * 1e3,
    }


def file_system(folder: Path) -> str:
    """Its type, from the longest mount point above it."""
    found = ("", "?")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind = line.split()[:3]
        if folder.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def fsync_seconds(folder: Path, rounds: int = 300) -> float:
    """The median time to make 4 KiB appended to one file durable, one after the other."""
    path, block, times = folder / "fsync", b"x" * 4096, []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(rounds):
            os.write(fd, block)
            began = time.perf_counter()
            os.fsync(fd)
            times.append(time.perf_counter() - began)
    finally:
        os.close(fd)
        path.unlink()
    return median(times)


class _Bare(asyncio.Protocol):
    """SMTP without meaning: the shortest answers that smtp-source accepts, nothing kept."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._in_data = False
        self._transport.write(b"220 bare ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        if self._in_data:
            if data.endswith(b"\r\n.\r\n"):
                self._in_data = False
                self._transport.write(b"250 ok\r\n")
        elif data[:4] == b"DATA":
            self._in_data = True
            self._transport.write(b"354 go\r\n")
        elif data[:4] == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
        else:
            self._transport.write(b"250 ok\r\n")


def _serve_bare(listener: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Bare, sock=listener)
        await server.serve_forever()

    try:
        import uvloop  # noqa: PLC0415  # measured with what the programs use, if it is there

        uvloop.run(serve())
    except ImportError:
        asyncio.run(serve())


def limits(folder: Path, port: int, messages: int = 2000) -> Raw:
    """Messages/s of the load against smtp-sink and against one bare asyncio process, and the load's own CPU time."""
    with Sink(port, folder):
        time.sleep(0.3)
        found = _accepted("smtp-sink", port, messages)
    with socket.create_server(("127.0.0.1", port + 1), backlog=1024) as listener:
        child = os.fork()
        if child == 0:
            try:
                _serve_bare(listener)
            finally:
                os._exit(1)
    try:
        return {**found, **_accepted("asyncio", port + 1, messages)}
    finally:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


def _accepted(name: str, port: int, messages: int) -> Raw:
    found: Raw = {}
    for reuse, way in ((False, "each"), (True, "reuse")):
        seconds, cpu = accept(Load(port, ELSEWHERE, messages, reuse))
        found[f"{name}-{way}"] = messages / seconds
        found[f"load-{way}-ms"] = cpu / messages * 1e3
    return found
