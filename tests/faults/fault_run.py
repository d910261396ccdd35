"""Every file and socket call of every program fails once, in each way it can: is anything lost?

    python tests/faults/fault_run.py [--programs queue,smtpd] [--share 3/40] [--minutes 20] [--json FILE]

A recording run lists what each program calls between DATA and the last delivery; then each of these calls fails once
(strace -e inject), and, by name, lastingly for a moment.  Senders send again what was not answered 250; at the end all
of it must be where it belongs, nothing refused, nothing bounced that could be delivered, and the program at work.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fault_post import Post, Sent, wait_until
from fault_table import unknown
from fault_trace import Call, Point, Trace, injecting, points

# what is sent while a call of this program fails
SCRIPTS = {
    "queue": ("maildir", "large", "onward", "mbox", "mixed", "abroad"),
    "smtpd": ("maildir", "large"),
    "local": ("maildir", "large", "onward", "mbox", "program"),
    "remote": ("mixed", "abroad"),
    "launcher": ("program",),
    "qmtpd": ("maildir", "large"),
}
WAIT = 2.0  # seconds for a call to come; then it does not come this time
PATIENCE = 2.0  # seconds that a sender waits for an answer while a fault lasts
LAST = 0.4  # seconds that a lasting fault lasts after the first attempts


@dataclass
class Result:
    """What came of one fault."""

    program: str
    point: Point
    happened: bool = False
    temporary: bool = False  # a sender was told to come back, or a delivery was put off
    restarted: bool = False
    duplicates: int = 0
    seconds: float = 0.0
    trouble: str = ""  # lost, refused, bounced, or the program did not recover


class Faults:
    """The appliance under faults."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._begin()

    def _begin(self) -> None:
        self._count += 1
        self.post = Post(self._folder / str(self._count))
        try:
            self.post.appliance.start()
            for name in SCRIPTS:
                self._ready(name)
            first = self.post.write(*SCRIPTS["queue"], "program")  # what is made once is made now
            self.post.send_all(first)
            self.post.settle(first)
        except BaseException:
            self.post.appliance.kill_all()
            raise

    def end(self) -> None:
        self.post.appliance.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ready(self, program: str) -> int:
        return int(str(wait_until(lambda: self.post.pid(program), 20, f"{program} runs")))

    def record(self, program: str) -> list[Call]:
        """What a program calls for its messages: the calls of some runs, for no two are the same."""
        calls: list[Call] = []
        for _ in range(3):
            with Trace(self._ready(program), self._folder / "trace") as trace:
                messages = self._write(program)
                self.post.send_all(messages)
                self.post.listing()
                self.post.settle(messages)
            calls += trace.calls()
        return calls

    def _write(self, program: str) -> list[Sent]:
        return self.post.write(*SCRIPTS[program], by="qmtp" if program == "qmtpd" else "smtp")

    def tried(self, program: str, point: Point) -> Result:
        """Have a call fail, and see; after trouble the next fault gets an appliance of its own."""
        result = self.attempted(program, point)
        if result.trouble:
            result.trouble += "".join(self.post.appliance.log_file.read_text().splitlines(keepends=True)[-6:])
            self.post.appliance.kill_all()
            self._begin()
        return result

    def attempted(self, program: str, point: Point) -> Result:
        """Have a call fail, and see."""
        result, began = Result(program, point), time.monotonic()
        try:
            self._try(program, point, result)
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not be
            result.trouble = str(error) or repr(error)
        result.seconds = round(time.monotonic() - began, 2)
        return result

    def _try(self, program: str, point: Point, result: Result) -> None:
        post = self.post
        pid = self._ready(program)
        read, doubled = post.appliance.log_file.stat().st_size, post.duplicates()
        messages = self._write(program)
        with injecting(pid, self._folder / "trace", point) as trace:
            for message in messages:
                post.attempt(message, PATIENCE if point.lasting else 10)
            self.post.listing()
            if point.lasting:
                time.sleep(LAST)
            else:
                self._await(messages, trace)
        result.happened = trace.injected > 0
        post.send_all(messages)
        post.settle(messages)
        more = self._write(program)[:1]  # it is at work again
        post.send_all(more)
        post.settle(more)
        with post.appliance.log_file.open() as log:
            log.seek(read)
            deferred = '"event": "deferred"' in log.read()
        result.temporary = deferred or any(len(message.answers) > 1 for message in messages)
        result.restarted = self._ready(program) != pid
        result.duplicates = post.duplicates() - doubled
        if post.wrong:
            result.trouble = "bounced: " + post.wrong.pop()

    def _await(self, messages: Sequence[Sent], trace: Trace) -> None:
        """Until the call has failed, or all is done without it."""
        until = time.monotonic() + WAIT
        while time.monotonic() < until and not trace.injected:
            if all(message.accepted for message in messages) and not self.post.missing(messages):
                return
            time.sleep(0.02)


def run(
    folder: Path, programs: Iterable[str], number: int, of: int, seconds: float
) -> tuple[list[Result], dict[str, list[str]]]:
    """Try a share of all faults within a time; the results, and the calls that no table knows."""
    faults, results, strange = Faults(folder), [], {}
    end = time.monotonic() + seconds
    try:
        for count, program in enumerate(names := list(programs)):
            calls = faults.record(program)
            strange[program] = unknown([(call.name, call.kind) for call in calls])
            until = time.monotonic() + (end - time.monotonic()) / (len(names) - count)
            mine = points(calls)[number::of]
            for tried, point in enumerate(mine):
                if tried and time.monotonic() > until:
                    print(f"{program}: the time is over after {tried} of {len(mine)} faults", file=sys.stderr)
                    break
                results.append(faults.tried(program, point))
                if results[-1].trouble:
                    print(program, point, results[-1].trouble, file=sys.stderr, flush=True)
    finally:
        faults.end()
    return results, {name: calls for name, calls in strange.items() if calls}


def table(results: Iterable[Result]) -> str:
    """By program and error: tried, happened, put off, restarted, duplicated, in trouble."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for each in results:
        row = rows.setdefault((each.program, each.point.error), Counter())
        row["tried"] += 1
        row["happened"] += each.happened
        row["put off"] += each.temporary
        row["restarted"] += each.restarted
        row["duplicates"] += each.duplicates
        row["lost"] += bool(each.trouble)
    heads = ("tried", "happened", "put off", "restarted", "duplicates", "lost")
    lines = ["| program | error | " + " | ".join(heads) + " |", "|" + "---|" * (len(heads) + 2)]
    lines += [f"| {program} | {error} | " + " | ".join(str(row[head]) for head in heads) + " |"
              for (program, error), row in rows.items()]  # fmt: skip
    return "\n".join(lines)


def as_json(results: Iterable[Result]) -> str:
    return json.dumps([{**vars(each), "point": str(each.point)} for each in results], indent=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=",".join(SCRIPTS))
    parser.add_argument("--share", default="0/1")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    number, of = map(int, args.share.split("/"))
    folder = Path(tempfile.mkdtemp(prefix="paperpath-faults-"))
    results, strange = run(folder, args.programs.split(","), number, of, args.minutes * 60)
    print(table(results))
    for program, calls in strange.items():
        print(f"{program}: in no table: {' '.join(calls)}", file=sys.stderr)
    if args.json:
        args.json.parent.mkdir(exist_ok=True)
        args.json.write_text(as_json(results))
    return 1 if strange or any(each.trouble for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
