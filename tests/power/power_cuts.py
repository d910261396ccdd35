"""Every power cut of a recording: what it leaves, and whether what was promised is there."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from power_disk import Disk, Fate
from power_record import Recording, recording

Judge = Callable[[Path, list[tuple]], None]
MEMORY = Path("/dev/shm")  # a disk that is thrown away at once


class Lost(AssertionError):
    """Something that was promised is not there, or something is that may not be."""


def place() -> tempfile.TemporaryDirectory:
    """A folder for one recording and its images."""
    return tempfile.TemporaryDirectory(prefix="power-", dir=MEMORY if MEMORY.is_dir() else None)


def try_all(
    taken: Recording, judge: Judge, folder: Path, fates: int = 4, seed: str = "", every: int = 1, twice: int = 0
) -> int:
    """Cut before each event (of `every` so many one, at random) and after the last; how many images were tried. Raises Lost.

    fates  what survives is chosen so often: nothing, everything, and any part
    twice  of so many images one has the power cut again while the program starts on it
    """
    disk, tried, random = Disk(), 0, Random(seed)
    for event in taken.events[: taken.first]:
        disk.follow(event)
    for number, event in enumerate([*taken.events[taken.first :], ("mark", "the end")]):
        if event[0] not in ("make", "mark") or event[1:] == ("the end",):  # else it is as before the next
            for fate in range(fates) if random.randrange(every) == 0 else ():
                again = twice and random.randrange(twice) == 0
                _try(
                    disk, judge, folder / "image", Fate(fate, f"{seed} {number}"), f"{number} {event[0]} {fate}", again
                )
                tried += 1 + again
        disk.follow(event)
    return tried


def _try(disk: Disk, judge: Judge, image: Path, fate: Fate, where: str, again: bool) -> None:
    disk.image(image, fate)
    try:
        if again:
            _cut_again(disk, judge, image, fate)
        judge(image, disk.marks)
    except Exception as error:
        raise Lost(f"cut before event {where}: {type(error).__name__}: {error}") from error
    finally:
        shutil.rmtree(image)


def _cut_again(disk: Disk, judge: Judge, image: Path, fate: Fate) -> None:
    """The power goes while the first start is at work, too."""
    with recording(image) as second:
        judge(image, disk.marks)
    later = Disk()
    for event in second.events[: fate.random.randint(second.first, len(second.events))]:
        later.follow(event)
    shutil.rmtree(image)
    later.image(image, fate)
