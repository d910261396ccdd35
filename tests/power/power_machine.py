"""Power cuts of a whole machine: the log of a device's writes, each prefix of it replayed, and Paperpath started on it.

    python tests/power/power_machine.py [--messages N] [--prefixes N] [--folder FOLDER]

The machine is user-mode-linux, its device dm-log-writes below ext4.  A prefix of the log is what a cut leaves; `e2fsck`
plays the file system's own journal back, `debugfs` takes the state folder out, and the queue's own code starts on it.
What was answered 250 before the cut must be in the queue, or whole in its mailboxes.  Status 1 if something is lost.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import power_log
from power_cuts import MEMORY, Lost, place
from power_letters import MARK
from power_machine_judge import judge

HERE = Path(__file__).resolve().parent
NEEDS = {
    "linux.uml": "user-mode-linux",
    "dmsetup": "dmsetup",
    "e2fsck": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "insmod": "kmod",
    "ip": "iproute2",
}
DISK, LOG = 128 << 20, 1 << 30  # bytes; the files are sparse
WITHIN = 300  # seconds that the machine may take
START = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={programs}
exec {python} {here}/power_inside.py {messages}
"""


def record(folder: Path, messages: int) -> Path:
    """Run the machine until it has had its mail; the log of its device. Raises Lost if it did not come so far."""
    for name, size in (("disk", DISK), ("log", LOG)):
        with (folder / name).open("wb") as file:
            file.truncate(size)
    script = folder / "init"
    script.write_text(
        START.format(python=sys.executable, here=HERE, messages=messages, programs=os.environ.get("PYTHONPATH", ""))
    )
    script.chmod(0o755)
    command = ["linux.uml", "mem=512M", "rootfstype=hostfs", "rootflags=/", "rw", f"init={script}"]
    command += [f"ubdb={folder}/disk", f"ubdc={folder}/log", "con=null", "con0=fd:0,fd:1", "quiet"]
    environment = {**os.environ, "TMPDIR": str(MEMORY)}
    with (folder / "console").open("wb") as console:
        subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            timeout=WITHIN, check=False, start_new_session=True,
        )  # fmt: skip
    if not any(entry.mark == "end" for entry in power_log.entries(folder / "log")):
        raise Lost("the machine did not come to its end:\n" + (folder / "console").read_text()[-4000:])
    return folder / "log"


def try_prefixes(folder: Path, log: Path, prefixes: int) -> tuple[int, int]:
    """Cut behind chosen entries of the log; how many were tried, of how many. Raises Lost."""
    all_entries = list(power_log.entries(log))
    begin = next(number for number, entry in enumerate(all_entries) if entry.mark == "begin")
    cuts = range(begin, len(all_entries))
    chosen = set(cuts if len(cuts) <= prefixes else Random(0).sample(cuts, prefixes))
    answered: list[int] = []
    with log.open("rb") as source, (folder / "replayed").open("wb+", buffering=0) as disk:
        disk.truncate(DISK)
        for number, entry in enumerate(all_entries):
            power_log.replay(entry, source, disk)
            if entry.mark.startswith(MARK):
                answered.append(int(entry.mark.removeprefix(MARK)))
            if number in chosen:
                _try(folder, answered, number)
    return len(chosen), len(cuts)


def _try(folder: Path, answered: list[int], number: int) -> None:
    """The machine starts again."""
    image, state = folder / "image", folder / "state"
    subprocess.run(["cp", "--sparse=always", folder / "replayed", image], check=True)
    try:
        mended = subprocess.run(["e2fsck", "-fy", image], capture_output=True, text=True, check=False)
        if mended.returncode > 1:
            raise Lost(f"e2fsck: {mended.stdout}{mended.stderr}")
        state.mkdir()
        for part in ("queue", "mail"):
            command = ["debugfs", "-R", f"rdump /state/{part} {state}", image]
            subprocess.run(command, capture_output=True, check=True)
        judge(state, answered)
    except Exception as error:
        raise Lost(f"cut behind entry {number}, {len(answered)} answered: {type(error).__name__}: {error}") from error
    finally:
        shutil.rmtree(state, ignore_errors=True)
        image.unlink(missing_ok=True)


def main() -> int:
    """Record, replay, count."""
    words = argparse.ArgumentParser()
    words.add_argument("--messages", type=int, default=60)
    words.add_argument("--prefixes", type=int, default=1500)
    words.add_argument("--folder", type=Path, default=Path("build/power"), help="for the device, its log, the console")
    asked = words.parse_args()
    asked.folder = asked.folder.resolve()
    missing = {package for program, package in NEEDS.items() if shutil.which(program) is None}
    if missing:
        print("missing Debian packages:", *sorted(missing))
        return 2
    began = time.monotonic()
    asked.folder.mkdir(parents=True, exist_ok=True)
    try:
        log = record(asked.folder, asked.messages)
        print(f"recorded in {time.monotonic() - began:.0f} s", flush=True)
        with place() as images:
            tried, possible = try_prefixes(Path(images), log, asked.prefixes)
    except Lost as lost:
        print(lost)
        return 1
    seconds = time.monotonic() - began
    print(f"{asked.messages} messages, {tried} of {possible} prefixes replayed, lost 0, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
