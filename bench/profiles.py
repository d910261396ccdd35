"""Each program's profile under load, as a flame graph in docs/performance and as top costs: `make profiles`.

smtp-source sends without end, a connection each; one program after the other is sampled by py-spy, the C code in it too,
whenever it is at work or waits for the disk.  The division of CPU time into the program's own and the kernel's is
taken from /proc before the sampling begins, for the sampling itself costs system time.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import flame
from bench.cell import Ports, arrivals_of, running
from bench.contestant import ELSEWHERE, MAILBOX, Mode
from bench.contestants import paperpath
from bench.load import Load

_PICTURES = Path("docs/performance")
_WAYS: dict[Mode, tuple[str, ...]] = {"maildir": ("smtpd-1", "queue", "local-1"), "relay": ("remote-1",)}
_SAMPLES = 200  # a second
_SPLIT_SECONDS = 2.0
_TOP = 14
_ENDLESS = 10_000_000  # messages


@contextmanager
def _loaded(mode: Mode, folder: Path, ports: Ports) -> Iterator[dict[str, int]]:
    """Paperpath under load; the pids of its processes by name."""
    recipient = ELSEWHERE if mode == "relay" else MAILBOX
    with running(paperpath, folder, mode, ports.take(), 0.5) as one, arrivals_of(one):
        load = Load(one.place.port, recipient, _ENDLESS, reuse=False)
        source = subprocess.Popen(load.command())
        try:
            time.sleep(1.0)
            yield {Path(f"/proc/{pid}/comm").read_text().strip(): pid for pid in one.tree.members()}
        finally:
            source.kill()
            source.wait()


def _cpu(pid: int) -> tuple[int, int]:
    """Clock ticks of its own, and in the kernel."""
    own, kernel = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(own), int(kernel)


def _split(pids: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Parts of a core that each process uses itself, and in the kernel."""
    before = {name: _cpu(pid) for name, pid in pids.items()}
    time.sleep(_SPLIT_SECONDS)
    whole = _SPLIT_SECONDS * os.sysconf("SC_CLK_TCK")
    after = {name: _cpu(pid) for name, pid in pids.items()}
    return {name: tuple((b - a) / whole for a, b in zip(before[name], after[name], strict=True)) for name in pids}  # type: ignore[misc]


def _record(pid: int, seconds: int, raw: Path) -> flame.Folded:
    spy = str(Path(sys.executable).with_name("py-spy"))
    options = ["--native", "--function", "--format", "raw", "--rate", str(_SAMPLES), "--duration", str(seconds)]
    done = subprocess.run(
        [spy, "record", "--pid", str(pid), *options, "--output", str(raw)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"py-spy: {done.stderr.strip()}")
    return flame.parse(raw.read_text().splitlines())


def _report(name: str, used: tuple[float, float], folded: flame.Folded) -> None:
    own, kernel = used
    program = name.partition("-")[0]
    title = f"{program} under load: {own:.0%} of a core in the program, {kernel:.0%} in the kernel; {folded.total()} samples"
    (_PICTURES / f"profile-{program}.svg").write_text(flame.svg(folded, title))
    print(f"\n{title}")
    for what, part in flame.own(folded)[:_TOP]:
        print(f"  {part:6.1%}  {what}")


def main() -> int:
    """Two loads, four programs."""
    parser = argparse.ArgumentParser(prog="make profiles", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="for each program")
    args = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    folder = Path("build/bench/spool").absolute() / time.strftime("profiles-%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    _PICTURES.mkdir(exist_ok=True)
    ports = Ports()
    try:
        for mode, names in _WAYS.items():
            with _loaded(mode, folder / mode, ports) as pids:
                used = _split({name: pids[name] for name in names})
                found = {name: _record(pids[name], args.seconds, folder / f"{name}.raw") for name in names}
            for name in names:
                _report(name, used[name], found[name])
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
