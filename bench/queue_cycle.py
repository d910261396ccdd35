"""The queue alone: accept, lease, report, by raw sockets; messages a second and CPU of the queue process.

python bench/queue_cycle.py [messages] [bytes] [pipelined] [--profile] [--json]
"""

import argparse
import json
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from appliance import door, intake, lease, netstring
from appliance.errors import Result
from appliance.state import State

REPORT = [lease.Report(Result.DONE, b"")]


def make_state(root: Path) -> State:
    """A state folder with the least configuration and fresh tokens."""
    state = State(root)
    control = state.generations / "bench" / "control"
    control.mkdir(parents=True)
    (control / "me").write_text("mx.example.org\n")
    (control / "virtualdomains").write_text("example.org:example.org\n")
    state.generation.symlink_to("bench")
    door.make_tokens(state)
    return state


def start(state: State, profile: bool) -> int:
    """Fork the queue; its pid."""
    pid = os.fork()
    if pid:
        return pid
    from appliance.queue.main import main  # noqa: PLC0415  # only in the child

    if profile:
        import cProfile  # noqa: PLC0415
        import pstats  # noqa: PLC0415

        profiler = cProfile.Profile()
        status = profiler.runcall(main, state)
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(30)
    else:
        status = main(state)
    os._exit(status)


def connect(state: State, name: str, role: str) -> socket.socket:
    """A connection at a door, hello said; waits for the queue."""
    for _ in range(100):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(state.door(name)))
        except OSError:
            connection.close()
            time.sleep(0.05)
        else:
            connection.sendall(door.hello(role, door.read_token(state, role)))
            return connection
    raise SystemExit("the queue does not answer")


def feed(state: State, messages: int, size: int, pipelined: int) -> None:
    """Requests, at most `pipelined` without an answer."""
    connection = connect(state, "intake", "smtpd")
    request = intake.request(b"sender@elsewhere.example", [b"alice@example.org"], b"X: y\n\n" + b"x" * (size - 6))
    answers = netstring.Decoder(intake.FRAME)
    sent = answered = 0
    while answered < messages:
        count = min(pipelined - (sent - answered), messages - sent)
        if count:
            connection.sendall(request * count)
            sent += count
        for answer in answers.feed(connection.recv(65536)):
            assert answer[:1] == b"K", answer
            answered += 1
    connection.close()


def show_log(folder: str) -> None:
    """What the queue said besides its usual lines."""
    for line in (Path(folder) / "log").read_text().splitlines():
        if '"finished"' not in line:
            print(line, file=sys.stderr)


def work(state: State, messages: int, credit: int) -> None:
    """Deliveries, each reported as done at once."""
    connection = connect(state, "lease", "local")
    connection.sendall(lease.encode_credit(credit))
    deliveries = netstring.Decoder(lease.FRAME)
    done = 0
    while done < messages:
        data = connection.recv(1 << 20)
        if not data:
            break
        frames = deliveries.feed(data)
        reports = [lease.encode_report(int(frame[: frame.index(b" ")]), REPORT) for frame in frames]
        if reports:
            connection.sendall(b"".join([*reports, lease.encode_credit(len(reports))]))
            done += len(reports)
    connection.close()


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("messages", type=int, nargs="?", default=20000)
    parser.add_argument("size", type=int, nargs="?", default=4096)
    parser.add_argument("pipelined", type=int, nargs="?", default=50)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true", help="the figures for another program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="queue-cycle-") as folder:
        state = make_state(Path(folder))
        output = os.dup(1)
        log = os.open(Path(folder) / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        pid = start(state, options.profile)
        os.dup2(output, 1)
        worker = threading.Thread(target=work, args=(state, options.messages, 100), daemon=True)
        worker.start()
        began = time.perf_counter()
        try:
            feed(state, options.messages, options.size, options.pipelined)
        except OSError:
            show_log(folder)
            os.kill(pid, signal.SIGKILL)
            raise
        accepted = time.perf_counter() - began
        worker.join()
        took = time.perf_counter() - began
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime
        finished = (Path(folder) / "log").read_bytes().count(b'"finished"')
        if options.json:
            print(json.dumps({"cycles": options.messages / took, "cpu_us": cpu / options.messages * 1e6}))
            return
        print(
            f"{options.messages} messages of {options.size} bytes, {options.pipelined} pipelined: "
            f"accepted {options.messages / accepted:.0f}/s, cycles {options.messages / took:.0f}/s, "
            f"queue CPU {cpu / options.messages * 1e6:.0f} us a message (user {used.ru_utime:.2f} system {used.ru_stime:.2f}), "
            f"{used.ru_maxrss // 1024} MiB, {finished} finished, exit {status}"
        )


if __name__ == "__main__":
    main()
