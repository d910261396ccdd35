"""users/cdb with a million users: built as qmail-newu does, and looked up.  `python -m bench.users [HOW MANY]`.

Each part runs in a process of its own, so that its memory is its own.  Exact entries, wildcards, and names of nothing but
dashes (the most prefixes to try) are looked up by names drawn at random; the file is mapped and was just written.
"""

import mmap
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, quantiles

from appliance import users

DOMAINS = 100
TRIES = 20_000


def write(path: Path, count: int) -> None:
    """A users/assign with so many mailboxes in a hundred domains, each with a wildcard."""
    with path.open("w") as file:
        for number in range(count):
            domain = f"example{number % DOMAINS}.org"
            file.write(f"={domain}-user{number}:paperpath:10025:0:mail/{domain}/user{number}:::\n")
        file.writelines(f"+example{n}.org-:paperpath:10025:0:mail/example{n}.org:-::\n" for n in range(DOMAINS))
        file.write(".\n")


def build(folder: Path) -> str:
    """As qmail-newu: a pass over the lines."""
    before, began = memory("VmRSS"), time.process_time()
    with (folder / "assign").open("rb") as lines, (folder / "cdb").open("wb") as file:
        users.build_file(lines, file)
    size = (folder / "cdb").stat().st_size / 2**20
    return f"built: {time.process_time() - began:.1f} s of CPU, {memory('VmHWM') - before:.0f} MiB more, a file of {size:.0f} MiB"


def look_up(folder: Path, count: int) -> str:
    """Microseconds a look-up: mean and 99th percentile."""
    longest = users.longest((folder / "assign").read_bytes())
    before = memory("RssAnon")
    with (folder / "cdb").open("rb") as file:
        found = users.Users(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), longest)  # type: ignore[arg-type]
    chance = random.Random(1)
    numbers = [chance.randrange(count) for _ in range(TRIES)]
    lines = []
    for kind, names in (
        ("an exact entry", [b"example%d.org-user%d" % (n % DOMAINS, n) for n in numbers]),
        ("a wildcard", [b"example%d.org-list-%d" % (n % DOMAINS, n) for n in numbers]),
        ("900 dashes", [b"-" * 900] * 200),
    ):
        times = []
        for name in names:
            began = time.perf_counter()
            found.find(name)
            times.append((time.perf_counter() - began) * 1e6)
        lines.append(f"{kind}: {mean(times):.0f} us, 99 of 100 within {quantiles(times, n=100)[98]:.0f} us")
    return "\n".join([*lines, f"memory of its own: {memory('RssAnon') - before:.1f} MiB"])


def memory(name: str) -> float:
    """MiB, by the kernel's name."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def main(words: list[str]) -> None:
    """All parts, or the one that a process of ours is asked for."""
    if words[:1] == ["build"]:
        print(build(Path(words[1])))
    elif words[:1] == ["look_up"]:
        print(look_up(Path(words[1]), int(words[2])))
    else:
        count = int(words[0]) if words else 1_000_000
        with tempfile.TemporaryDirectory(prefix="users-") as folder:
            write(Path(folder) / "assign", count)
            for part in (["build", folder], ["look_up", folder, str(count)]):
                subprocess.run([sys.executable, "-m", "bench.users", *part], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
