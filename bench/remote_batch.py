"""How fast remote relays: a stand-in for the queue feeds it messages, smtp-sink takes them.

    .venv/bin/python bench/remote_batch.py [messages] [bytes] [concurrency]

Prints messages/s and the CPU time remote itself spent on a message (the stand-in and the sink
are other processes).
"""

import multiprocessing
import os
import pwd
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appliance import door, lease, message_id, netstring
from appliance.lease import Delivery
from appliance.state import State

SINK = "/usr/sbin/smtp-sink"


def content(size: int) -> bytes:
    """A message of about `size` bytes."""
    line = b"The quick brown fox jumps over the lazy dog, and so does the mail of every day.\n"
    return b"From: a@example.org\nSubject: bench\n\n" + line * (size // len(line))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare(root: Path, port: int, concurrency: int) -> State:
    """A state folder with one generation that routes everything to the sink."""
    state = State(root)
    control = state.generations / "bench" / "control"
    control.mkdir(parents=True)
    files = {
        "me": "bench.example.org",
        "smtproutes": f":[127.0.0.1]:{port}",
        "concurrencyremote": str(concurrency),
        "timeoutconnect": "5",
    }
    for name, text in files.items():
        (control / name).write_text(text + "\n")
    state.generation.symlink_to("bench")
    state.run.mkdir()
    door.make_tokens(state)
    return state


def remote(state: State, pipe: "multiprocessing.connection.Connection") -> None:
    """The program in a process of its own; sends its CPU seconds at the end."""
    from appliance.remote.main import main  # noqa: PLC0415  # not in the parent: its memory is not the program's

    os.dup2(os.open(state.root / "log", os.O_WRONLY | os.O_CREAT, 0o600), 1)
    main(state)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    pipe.send((usage.ru_utime + usage.ru_stime, usage.ru_maxrss))


def feed(listener: socket.socket, messages: int, body: bytes) -> float:
    """The queue's side: give deliveries as there is credit, until all are reported. Returns seconds."""
    connection, _ = listener.accept()
    decoder = netstring.Decoder(lease.FRAME)
    number, reported, credit, born = 0, 0, 0, int(time.time() * 1e6)
    frames = decoder.feed(connection.recv(65536))
    frames = frames[1:]  # the hello
    start = time.monotonic()
    while True:
        for frame in frames:
            if frame[:1] == b"W":
                credit += int(frame[1:])
            else:
                _, results = lease.decode_report(frame)
                assert results[0].result == "K", results
                reported += 1
        if reported == messages:
            return time.monotonic() - start
        batch = []
        while credit and number < messages:
            number, credit = number + 1, credit - 1
            recipient = (b"user%d@example.net" % number,)
            batch.append(
                lease.encode_delivery(
                    Delivery(number, born + number, 1, b"example.net", b"a@example.org", recipient, len(body), body)
                )
            )
        connection.sendall(b"".join(batch))
        frames = decoder.feed(connection.recv(1 << 20))


def main(messages: int = 20000, size: int = 4096, concurrency: int = 20) -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        state = prepare(Path(folder) / "state", port, concurrency)
        sink = subprocess.Popen([SINK, "-u", pwd.getpwuid(os.getuid()).pw_name, f"127.0.0.1:{port}", "1000"])
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(state.door("lease")))
        listener.listen()
        here, there = multiprocessing.Pipe()
        program = multiprocessing.get_context("fork").Process(target=remote, args=(state, there))
        program.start()
        try:
            seconds = feed(listener, messages, content(size))
            program.terminate()
            cpu, memory = here.recv()
        finally:
            program.join()
            sink.terminate()
            sink.wait()
        print(f"{messages} messages of {size} bytes, {concurrency} connections: {messages / seconds:.0f}/s, ")
        print(f"{cpu / messages * 1e6:.0f} µs of CPU a message in remote, {memory // 1024} MiB at most")
        print(message_id.text(int(time.time() * 1e6)), "was the last id")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
