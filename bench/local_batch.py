"""How fast the local program delivers 4 KiB messages to one Maildir and to fifty.

    python bench/local_batch.py [messages] [folder]

The real program, fed from a socket by a queue that does nothing else: messages/s until the last
report, the program's CPU time per message, and the latency of single messages on the idle program.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from appliance import door, lease, message_id, netstring, users
from appliance.lease import Delivery
from appliance.local.main import main
from appliance.state import State

CONTENT = b"Received: from a by b; Sun, 22 Nov 2026 13:00:00 -0000\nSubject: bench\n\n" + b"0123456789abcde\n" * 252


def make_state(root: Path, boxes: int) -> State:
    """A state folder with this many mailboxes."""
    state = State(root)
    generation = state.generations / "bench"
    lines = [f"=example.org-box{n}:box:1:1:mail/example.org/box{n}:::\n" for n in range(boxes)]
    assign = "".join([*lines, ".\n"]).encode()
    (generation / "control").mkdir(parents=True)
    (generation / "users").mkdir()
    (generation / "control/me").write_text("mx.example.org\n")
    (generation / "control/virtualdomains").write_text("example.org:example.org\n")
    (generation / "users/cdb").write_bytes(users.build(assign))
    state.generation.symlink_to("bench")
    state.mail.mkdir()
    state.run.mkdir()
    door.make_tokens(state)
    return state


def deliveries(first: int, count: int, boxes: int) -> list[bytes]:
    """Their frames."""
    return [
        lease.encode_delivery(
            Delivery(
                n, n, 1, b"", b"a@b.example", (b"example.org-box%d@example.org" % (n % boxes),), len(CONTENT), CONTENT
            )
        )
        for n in range(first, first + count)
    ]


class Feed:
    """The queue's end of the connection."""

    def __init__(self, listener: socket.socket) -> None:
        self.connection, _ = listener.accept()
        self.decoder = netstring.Decoder(lease.FRAME)
        self.credit = 0
        self.reported = 0
        self.wait(lambda: self.credit > 0)

    def wait(self, done: object) -> None:
        while not done():  # type: ignore[operator]
            for frame in self.decoder.feed(self.connection.recv(1 << 18)):
                if frame[:1] == b"W":
                    self.credit += int(frame[1:])
                elif frame[:1] == b"R":
                    assert b"\0K" in frame, frame
                    self.reported += 1

    def give(self, frames: list[bytes]) -> None:
        end = self.reported + len(frames)
        sent = 0
        while sent < len(frames):
            self.wait(lambda: self.credit > 0)
            now = frames[sent : sent + self.credit]
            self.credit -= len(now)
            sent += len(now)
            self.connection.sendall(b"".join(now))
        self.wait(lambda: self.reported >= end)


def measure(folder: str, boxes: int, count: int) -> Path:
    """One line of the table."""
    root = Path(tempfile.mkdtemp(prefix="local-batch-", dir=folder))
    state = make_state(root, boxes)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(state.door("lease")))
    listener.listen()
    pid = os.fork()
    if not pid:
        os.dup2(os.open(root / "log", os.O_WRONLY | os.O_CREAT), 1)
        os._exit(main(state))
    feed = Feed(listener)
    start = message_id.following(0, time.time())
    feed.give(deliveries(start, boxes, boxes))  # makes the Maildirs
    frames = deliveries(start + boxes, count, boxes)
    os.sync()
    begun = time.perf_counter()
    feed.give(frames)
    took = time.perf_counter() - begun
    single: list[float] = []
    for n in range(100):
        frame = deliveries(start + boxes + count + n, 1, boxes)
        begun = time.perf_counter()
        feed.give(frame)
        single.append(time.perf_counter() - begun)
        time.sleep(0.005)
    os.kill(pid, signal.SIGTERM)
    _, status, usage = os.wait4(pid, 0)
    listener.close()
    feed.connection.close()
    found = sum(len(os.listdir(state.mail / "example.org" / f"box{n}" / "Maildir/new")) for n in range(boxes))
    single.sort()
    print(
        f"{boxes:3} Maildirs: {count / took:6.0f}/s, CPU {(usage.ru_utime + usage.ru_stime) / found * 1e6:4.0f} us a message, "
        f"single p50 {single[50] * 1e3:.2f} ms p95 {single[95] * 1e3:.2f} ms, memory {usage.ru_maxrss >> 10} MiB, "
        f"{found} files for {count + boxes + 100} messages, status {status}",
        flush=True,
    )
    return root


if __name__ == "__main__":
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    # removed at the end: deleting files just before a run slows it several times
    used = [measure(sys.argv[2] if len(sys.argv) > 2 else "/var/tmp", boxes_, messages) for boxes_ in (1, 50)]
    for root_ in used:
        shutil.rmtree(root_)
