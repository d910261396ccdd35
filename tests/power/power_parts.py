"""What is cut: the queue, Maildirs, an mbox, configurations; each part tries all of its cuts. Raises Lost.

python tests/power/power_parts.py PART [FATES]      (status 1 if something is lost)
"""

import sys
from functools import partial
from pathlib import Path

import power_mailboxes
import power_queue
from power_cuts import Lost, place, try_all
from power_record import recording


def queue(folder: Path, fates: int) -> int:
    """The script; every 20th time the power goes again during the start."""
    state = power_queue.prepared(folder / "state")
    with recording(state.root) as taken:
        power_queue.work(state, taken.mark)
    return try_all(taken, power_queue.judge, folder, fates, twice=20)


def maildirs(folder: Path, fates: int, *, whole: bool = False) -> int:
    """Two Maildirs, batch by batch."""
    root = folder / "state"
    (root / "mail").mkdir(parents=True)
    with recording(root) as taken:
        power_mailboxes.fill_maildirs(root, taken.mark, whole=whole)
    return try_all(taken, power_mailboxes.judge_maildirs, folder, fates)


def mbox(folder: Path, fates: int) -> int:
    """One mbox, message by message."""
    root = folder / "state"
    (root / "mail").mkdir(parents=True)
    with recording(root) as taken:
        power_mailboxes.fill_mbox(root, taken.mark)
    return try_all(taken, power_mailboxes.judge_mbox, folder, fates, twice=5)


def configuration(folder: Path, fates: int) -> int:
    """Four configurations, one after the other."""
    root = folder / "state"
    root.mkdir()
    with recording(root) as taken:
        power_mailboxes.change_configuration(root, taken.mark)
    return try_all(taken, power_mailboxes.judge_configuration, folder, fates, twice=5)


PARTS = {
    "queue": queue,
    "maildirs": maildirs,
    "maildirs-syncfs": partial(maildirs, whole=True),
    "mbox": mbox,
    "configuration": configuration,
}


def main(part: str, fates: str = "4") -> int:
    """All cuts of one part."""
    with place() as folder:
        try:
            print(PARTS[part](Path(folder), int(fates)), "images tried, lost 0")
        except Lost as lost:
            print(lost)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
