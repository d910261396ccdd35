"""`make fuzz`: each target for some seconds, guided by coverage if atheris is installed, else by seeded mutations.

New inputs that reached new code are kept in build/fuzz/NAME/ and tried first the next time; an input that broke something
is shown and kept in build/fuzz/broken/.  Mend what it broke, and move it to tests/fuzz/corpus/NAME/.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import fuzz_targets
import mutation

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
ONE_INPUT = 10  # seconds


def kept(name: str) -> list[bytes]:
    """The inputs of a target's corpus."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def by_mutation(name: str, seconds: float, seed: int, found: Path) -> tuple[int, bool]:
    """Inputs tried, and whether all was well."""
    module = fuzz_targets.load(name)
    count, until = 0, time.monotonic() + seconds
    for data in mutation.mutations(kept(name), module.WORDS, seed):
        if time.monotonic() > until:
            break
        count += 1
        try:
            with mutation.within(ONE_INPUT):
                module.target(data)
        except (Exception, mutation.Hang):  # noqa: BLE001  # anything at all is what is looked for
            traceback.print_exc()
            place = found / f"{name}-{seed}-{count}"
            place.write_bytes(data)
            print(f"{data[:300]!r}\nkept in {place}")
            return count, False
    return count, True


def by_coverage(name: str, seconds: float, seed: int, found: Path) -> tuple[int, bool]:
    """The same by libFuzzer, in a process of its own."""
    grown = found.parent / name
    grown.mkdir(exist_ok=True)
    words = found.parent / f"{name}.words"
    words.write_text(
        "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in fuzz_targets.load(name).WORDS)
    )
    options = [f"-max_total_time={max(1, round(seconds))}", f"-seed={seed}", f"-timeout={ONE_INPUT}", "-max_len=4096"]
    options += ["-rss_limit_mb=1024", f"-dict={words}", f"-artifact_prefix={found}/{name}-", "-print_final_stats=1"]
    with tempfile.TemporaryDirectory() as folder:  # libFuzzer ends the process without tidying up
        done = subprocess.run(
            [sys.executable, HERE / "coverage_guided.py", name, *options, grown, CORPUS / name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": folder},
            check=False,
        )
    said = done.stdout.decode(errors="replace")
    counts = [line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line]
    if done.returncode:
        print(said[said.find(" === Uncaught") :][-6000:])
    return int(counts[0]) if counts else 0, done.returncode == 0


def main(words: list[str] | None = None) -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", metavar="TARGET", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time, and it is told")
    parser.add_argument("--build", type=Path, default=Path("build/fuzz"), help="where finds are kept")
    parser.add_argument("--mutations", action="store_true", help="without atheris, even if it is installed")
    args = parser.parse_args(words)
    if unknown := set(args.names) - set(fuzz_targets.TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(fuzz_targets.TARGETS)}")
    found = (args.build / "broken").resolve()
    found.mkdir(parents=True, exist_ok=True)
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(3)) + 1
    guided = not args.mutations and importlib.util.find_spec("atheris") is not None
    print(f"{'guided by coverage' if guided else 'by mutations'}, seed {seed}, {args.seconds} s a target", flush=True)
    broken = []
    for name in args.names or fuzz_targets.TARGETS:
        count, good = (by_coverage if guided else by_mutation)(name, args.seconds, seed, found)
        print(f"{name:16} {count:9} inputs  {'ok' if good else 'BROKEN'}", flush=True)
        broken += [] if good else [name]
    print(f"broken: {', '.join(broken)}; the inputs are in {found}" if broken else "nothing found")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
