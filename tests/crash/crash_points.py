"""The proof that nothing which was answered 250 is lost, wherever a program ends.

    python tests/crash/crash_points.py [--share I/N] [--scene NAME] [--program NAME] [--json FILE]

One program at a time is killed before each call that changes something, from the first on until a scene is over without
a kill; one call a run.  It is started again, and when nothing waits any more everything must be where it belongs.
"""

import argparse
import collections
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import crash_report
from crash_play import Play
from crash_report import Outcome
from crash_scenes import SCENES, Scene
from crash_watch import Point
from crash_world import COMMAND, PROGRAMS, Stuck, World

ALL = (*PROGRAMS, COMMAND)
HURRY = 0.03  # seconds between two commands to try all that waits, after a kill


class Proof:
    """Runs points in a world, which is made anew after one that went wrong."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self._folder, self._environment = folder, environment
        self._worlds = 0
        self.made: dict[str, collections.Counter[Point]] = {}  # calls of the last run
        self.unknown: set[str] = set()
        self._open()

    def _open(self) -> None:
        self._worlds += 1
        self.play = Play(World(self._folder / f"world{self._worlds}", self._environment))

    def close(self) -> None:
        for name, watch in self.play.world.watches.items():
            self.unknown |= {f"{name} makes the call {call}" for call in watch.unknown}
        self.play.world.close()

    def record(self, scene: Scene) -> dict[str, "collections.Counter[Point]"]:
        """The calls of each program in a scene without a kill. Raises Stuck."""
        outcome = self.run(scene, "", 0)
        if outcome.wrong:
            raise Stuck(str(outcome))
        return self.made

    def run(self, scene: Scene, program: str, number: int) -> Outcome:
        """A scene in which a program ends before its call of this number."""
        began = time.monotonic()
        outcome = Outcome(scene.name, program, number)
        world = self.play.world
        try:
            scene.before(self.play)
            world.arm(program, number)
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
        self.made = {name: watch.made.copy() for name, watch in world.watches.items()}
        if world.armed:
            outcome.point = world.armed.disarm()
            world.armed = None
        hurried = 0.0

        def done() -> bool:
            nonlocal hurried
            if not letters.missing() and world.ready() and world.ping()["messages"] == 0:
                return True
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
        count = made[program].total() if scene.only in ("", program) else 0
        number = (first + index) % step + 1
        while count and number <= count:
            outcome = proof.run(scene, program, number)
            yield outcome
            if outcome.point is not None and step == 1:
                count = max(count, number + 1)  # the run had more calls than the recorded one, perhaps
            number += step


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", default="0/1", help="I/N: every N-th point, from the I-th")
    parser.add_argument("--scene", default="", help="only those whose name holds this")
    parser.add_argument("--json", type=Path, help="write all outcomes there")
    args = parser.parse_args()
    share = tuple(map(int, args.share.split("/")))
    with tempfile.TemporaryDirectory(prefix="paperpath-crash-") as folder:
        proof = Proof(Path(folder))
        outcomes = []
        for scene in SCENES:
            if args.scene in scene.name:
                outcomes += points(proof, scene, share)
                print(f"{scene.name}: {len(outcomes)} points so far", flush=True)
        proof.close()
    print(crash_report.table(outcomes))
    if args.json:
        args.json.parent.mkdir(exist_ok=True)
        args.json.write_text(crash_report.as_json(outcomes))
    wrong = [*map(str, filter(lambda outcome: outcome.wrong, outcomes)), *sorted(proof.unknown)]
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
