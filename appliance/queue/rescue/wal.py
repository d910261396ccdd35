"""SQLite's write-ahead log, read without SQLite: which of its frames are whole, and whether some are missing in the middle.

SQLite takes the log up to its first frame that is not whole and says nothing about what follows.  A frame's sums go on from
those of the frame before it, which stand in that one's head: so what follows a damaged frame can be told to be whole
(https://www.sqlite.org/fileformat2.html#walformat).
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

_HEAD = Struct(">8I")  # magic, version, page size, sequence, salts, sums
_FRAME = Struct(">6I")  # page, pages of the database after a commit (else 0), salts, sums
_MAGIC = 0x377F0682  # its last bit: the sums are of big-endian words
_MASK = 0xFFFFFFFF
SIZES = frozenset(1 << power for power in range(9, 17))


class Frame(NamedTuple):
    """An image of a page, at `offset`."""

    page: int
    offset: int
    commit: int  # pages of the database, for the last frame of a commit


class Log(NamedTuple):
    """What a log holds.

    frames  those of the commits that SQLite sees; behind damage, all that are whole
    damage  a sentence, if some commit in it can't be read that was synced; else empty
    """

    frames: list[Frame]
    damage: str


def read(path: Path) -> Log:
    """Read a log, or nothing if there is none. Raises OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return Log([], "")
    with file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size or not file.peek(1):  # it is synced before the first frame is written
            return Log([], "")
        magic, _, size, _, *rest = _HEAD.unpack(head)
        if magic >> 1 != _MAGIC >> 1 or size not in SIZES:
            return Log([], "the head of the write-ahead log is damaged: what it holds can't be read")
        salts, sums = (rest[0], rest[1]), (rest[2], rest[3])
        words = ">" if magic & 1 else "<"
        if checksum(head[:24], words, (0, 0)) != sums:
            return Log([], "the head of the write-ahead log is damaged: what it holds can't be read")
        return _judge(list(_frames(file, size, salts, sums, words)))


def _frames(
    file: BinaryIO, size: int, salts: tuple[int, int], sums: tuple[int, int], words: str
) -> Iterator[tuple[Frame, bool]]:
    """The frames of this generation of the log, and whether each is whole."""
    offset = _HEAD.size
    strange = 0
    while len(data := file.read(_FRAME.size + size)) == _FRAME.size + size:
        page, commit, *rest = _FRAME.unpack_from(data)
        ours = (rest[0], rest[1]) == salts
        # an older generation's frames follow behind the end; one damaged head is no end
        strange = 0 if ours else strange + 1
        if strange > 2:
            return
        found = checksum(data[:8], words, sums)
        whole = ours and checksum(data[_FRAME.size :], words, found) == (rest[2], rest[3])
        yield Frame(page, offset + _FRAME.size, commit if ours else 0), whole
        sums = (rest[2], rest[3])
        offset += len(data)


def _judge(found: list[tuple[Frame, bool]]) -> Log:
    broken = next((number for number, (_, whole) in enumerate(found) if not whole), len(found))
    commits = [number for number, (frame, _) in enumerate(found) if frame.commit]
    seen = max((number for number in commits if number < broken), default=-1)
    # a commit is synced before the next one is written: of the last one, frames may be torn, of those before it not
    later = [number for number in commits if number >= broken]
    if len(later) >= 2 and found[later[-1]][1]:
        frames = [frame for frame, whole in found[: later[-1] + 1] if whole]
        lost = later[-1] + 1 - len(frames)
        return Log(frames, f"{lost} pages in the middle of the write-ahead log are damaged")
    return Log([frame for frame, _ in found[: seen + 1]], "")


def checksum(data: bytes, words: str, sums: tuple[int, int]) -> tuple[int, int]:
    """SQLite's sums of some bytes, going on from others; words: the byte order, as `struct` names it."""
    first, second = sums
    for one, two in Struct(f"{words}2I").iter_unpack(data):
        first = (first + one + second) & _MASK
        second = (second + two + first) & _MASK
    return first, second
