"""Idle memory of the whole tree (proportional set size) and the time to the first 220.

python bench/footprint.py --config FILE --port PORT [--settle SECONDS]
"""

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def pss(pid: int) -> int:
    """The proportional set size of a process in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in tree(int(child)))]


def greeted(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            return connection.recv(4) == b"220 "
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--settle", type=float, default=8.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            Path(sys.executable).with_name("paperpath"),
            "run",
            "--config",
            args.config,
            "--state",
            f"{folder}/state",
        ]
        begun = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while not greeted(args.port):
                if process.poll() is not None or time.monotonic() > begun + 30:
                    print("no greeting", file=sys.stderr)
                    process.kill()
                    return 1
                time.sleep(0.005)
            print(f"first 220 after {time.monotonic() - begun:.2f} s")
            time.sleep(args.settle)
            total = 0
            for pid in tree(process.pid):
                total += pss(pid)
                print(f"{pss(pid) / 1024:8.1f} MiB  {Path(f'/proc/{pid}/comm').read_text().strip()}")
            print(f"{total / 1024:8.1f} MiB  all together (PSS)")
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            process.wait(40)
            print(f"stopped within {time.monotonic() - begun:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
