"""The proof that nothing which was answered 250 is lost, wherever a program ends.

    python tests/crash/crash_points.py [--share I/N] [--scene NAME] [--program NAME] [--json FILE]

One program at a time is killed before each call that changes something, from the first on until a scene is over without
a kill; one call a run.  It is started again, and when nothing waits any more everything must be where it belongs.
"""

import argparse
import collections
import ctypes
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import crash_order
import crash_report
from crash_play import Play
from crash_report import Outcome
from crash_scenes import SCENES, Scene
from crash_watch import Point
from crash_world import COMMAND, PATIENCE, PROGRAMS, Stuck, World

_SECCOMP, _SIZES = 317, 3  # SECCOMP_GET_NOTIF_SIZES
_libc = ctypes.CDLL(None)
ALL = (*PROGRAMS, COMMAND)
ATTEMPTS = 3  # runs until a point that was recorded counts as not reached
MORE = 50  # calls that a run has more than the recorded one, at most
GONE = 50  # looks at an empty queue after which what is missing is lost
HURRY = 0.03  # seconds between two commands to try all that waits, after a kill


class Proof:
    """Runs points in a world, which is made anew after one that went wrong."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None, patience: float = PATIENCE) -> None:
        self._folder, self._environment, self._patience = folder, environment, patience
        self._worlds = 0
        self.made: dict[str, list[Point]] = {}  # calls of the last run
        self.recorded: dict[
            Point, tuple[Scene, str]
        ] = {}  # kinds of points that runs without a kill had: where, of whom
        self.unknown: set[str] = set()  # calls that have no point
        self.unordered: set[str] = set()  # what came before what it must follow
        self._open()

    def _open(self) -> None:
        self._worlds += 1
        self.play = Play(World(self._folder / f"world{self._worlds}", self._environment, self._patience))

    def unlisted(self) -> set[str]:
        """Calls that were made and stand in no table: they have no point."""
        for name, watch in self.play.world.watches.items():
            self.unknown |= {
                f"{name} makes the call {call}, which crash_calls.py does not list" for call in watch.unknown
            }
        return self.unknown

    def close(self) -> None:
        self.unlisted()
        self.play.world.close()

    def record(self, scene: Scene) -> dict[str, list[Point]]:
        """The calls of each program in a scene without a kill. Raises Stuck if it does not come to its end."""
        for _ in range(2):  # what is done once, as making a mailbox, is no part of it
            outcome = self.run(scene, "", 0)
            if outcome.wrong:
                raise Stuck(f"{scene.name}, without a kill: {outcome.wrong}")
        if wrong := crash_order.broken(scene.name, self.made):
            self.unordered.add(f"{scene.name}: {wrong}")
        self.recorded |= {point: (scene, name) for name in scene.only or self.made for point in self.made[name]}
        return self.made

    def reach(self, scene: Scene, program: str, number: int, recorded: list[Point]) -> Outcome:
        """`run`, some times if the point was recorded and is not reached: a program makes fewer calls now and then."""
        for _ in range(ATTEMPTS if number <= len(recorded) else 1):
            outcome = self.run(scene, program, number)
            if outcome.point is not None or outcome.wrong:
                break
            outcome.beyond = number > len(recorded)
            outcome.fewer = sorted((collections.Counter(recorded) - collections.Counter(self.made[program])).elements())
        return outcome

    def rest(self, outcomes: list[Outcome]) -> Iterator[Outcome]:
        """The kinds of points that no kill came before: their numbers change, as SQLite writes a page more or less."""
        reached = {outcome.point for outcome in outcomes}
        for point, (scene, program) in self.recorded.items():
            if point not in reached:
                yield self.run(scene, program, 1, point)

    def run(self, scene: Scene, program: str, number: int, kind: Point | None = None) -> Outcome:
        """A scene in which a program ends before its call of this number, or the one of this kind and number."""
        began = time.monotonic()
        outcome = Outcome(scene.name, program, number)
        world = self.play.world
        try:
            scene.before(self.play)
            world.arm(program, number, kind)
            scene.run(self.play)
            self._finish(outcome)
        except (Stuck, OSError) as error:
            outcome.point = outcome.point or (world.armed.hit if world.armed else None)
            outcome.lost = f"{error}; missing: {', '.join(map(str, self.play.letters.missing()))}"
            outcome.lost += f"; the queue: {world.admin('list')}"
            self.close()
            self._open()
        outcome.seconds = time.monotonic() - began
        return outcome

    def _finish(self, outcome: Outcome) -> None:
        """Wait until everything is done; see what lies where, and take it away."""
        world, letters = self.play.world, self.play.letters
        calm = world.until(lambda: not letters.missing(), "all mail", or_killed=True)
        if calm:
            world.until(world.quiet, "a quiet moment", or_killed=True)
        self.made = {name: list(watch.made) for name, watch in world.watches.items()}
        if world.armed:
            outcome.point = world.armed.disarm()
            world.armed = None
        hurried, gone = 0.0, 0

        def done() -> bool:
            nonlocal hurried, gone
            empty = world.ready() and world.ping()["messages"] == 0
            if empty and not letters.missing():
                return True
            gone = gone + 1 if empty else 0
            if gone > GONE:
                raise Stuck("nothing waits, and not all has arrived")
            if time.monotonic() - hurried > HURRY:
                world.admin("retry")
                hurried = time.monotonic()
            return False

        world.until(done, "all mail, and an empty queue")
        outcome.surplus = sorted(letters.surplus().elements(), key=str)
        letters.clear()
        world.forget()


def points(proof: Proof, scene: Scene, share: tuple[int, int], programs: Iterable[str] = ALL) -> Iterator[Outcome]:
    """A scene with a kill before each call of each program; of a share i/n, every n-th one."""
    made = proof.record(scene)
    first, step = share
    for index, program in enumerate(programs):
        count = len(made[program]) if program in (scene.only or programs) else 0
        number = (first + index) % step + 1
        while count and number <= count:
            yield (outcome := proof.reach(scene, program, number, made[program]))
            if outcome.point is not None and step == 1:
                count = max(count, number + 1)  # until there is no such call: then none was left out
            if number > len(made[program]) + MORE:
                proof.unordered.add(f"{scene.name}: {program} makes more calls each time")
                break
            number += step


def broken_by(proof: Proof, name: str, program: str) -> str:
    """What the first kill that shows something wrong shows, if any; without a program: what a run without a kill shows."""
    scene = next(scene for scene in SCENES if scene.name == name)
    try:
        if program:
            return next((outcome.wrong for outcome in points(proof, scene, (0, 1), [program]) if outcome.wrong), "")
        proof.record(scene)
    except Stuck as stuck:
        return str(stuck)
    return ", ".join(proof.unlisted() | proof.unordered)


def usable() -> bool:
    """Can we watch the calls of programs here?"""
    told = _libc.syscall(ctypes.c_long(_SECCOMP), ctypes.c_long(_SIZES), ctypes.c_long(0), bytes(6))
    return platform.machine() == "x86_64" and told == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", default="0/1", help="I/N: every N-th point, from the I-th")
    parser.add_argument("--scene", default="", help="only those whose name holds this")
    parser.add_argument("--json", type=Path, help="write all outcomes there")
    parser.add_argument(
        "--read", type=Path, nargs="*", help="run nothing: what these files of earlier shares say together"
    )
    args = parser.parse_args()
    share = tuple(map(int, args.share.split("/")))
    if args.read:
        outcomes = [outcome for path in args.read for outcome in crash_report.of_json(path.read_text())]
        return _tell(outcomes, [])
    with tempfile.TemporaryDirectory(prefix="paperpath-crash-") as folder:
        proof = Proof(Path(folder))
        outcomes = []
        for scene in SCENES:
            if args.scene in scene.name:
                outcomes += points(proof, scene, share)
                print(f"{scene.name}: {len(outcomes)} runs so far", flush=True)
                _keep(outcomes, args.json)
        if share == (0, 1):
            outcomes += list(proof.rest(outcomes))
            _keep(outcomes, args.json)
            left = proof.recorded.keys() - {outcome.point for outcome in outcomes}
            print(f"{len(proof.recorded)} kinds of points; no kill came before:", *map(" ".join, left or [("none",)]))
        proof.close()
    return _tell(outcomes, sorted(proof.unknown | proof.unordered))


def _keep(outcomes: list[Outcome], path: Path | None) -> None:
    if path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(crash_report.as_json(outcomes))


def _tell(outcomes: list[Outcome], more: list[str]) -> int:
    """Print what came of it; the exit status."""
    print(
        *(
            say(outcomes)
            for say in (crash_report.table, crash_report.reasons, crash_report.not_reached, crash_report.summary)
        ),
        sep="\n\n",
    )
    wrong = [*(str(outcome) for outcome in outcomes if outcome.wrong), *more]
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
