"""What a power cut can leave on a disk: all that was synced; of the rest all, nothing, or any part of it.

A file's writes since its last sync are there or not, each whole, as a prefix, or as any of its sectors; where its length
came to the disk and its bytes did not, there are zeros.  A folder's changes since its last sync are there or not, each for
itself.  A rename inside one folder is one change; from one folder to another the new name may come alone, never the
loss of the old one: what journalling file systems promise.  This is less than ext4, XFS and btrfs keep.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SECTORS = (512, 4096)
ROOT = 0


@dataclass(eq=False)
class Piece:
    """A write that was not synced yet; `data` is None for a change of length to `start`."""

    start: int
    data: bytes | None

    @property
    def end(self) -> int:
        return self.start + len(self.data or b"")


@dataclass(eq=False)
class File:
    synced: bytearray = field(default_factory=bytearray)
    pieces: list[Piece] = field(default_factory=list)


@dataclass(eq=False)
class Folder:
    names: dict[str, int] = field(default_factory=dict)  # synced ones


@dataclass(eq=False)
class Link:
    target: str


@dataclass(eq=False)
class Move:
    """One change of names: those that come and those that go; (folder, name, what)."""

    comes: tuple[int, str, int] | None
    goes: tuple[int, str, int] | None


class Disk:
    """All that is on the disk, and on its way there; each verb is one event of a recording."""

    def __init__(self) -> None:
        self.things: dict[int, File | Folder | Link] = {ROOT: Folder()}
        self.moves: list[Move] = []
        self.marks: list[tuple] = []

    def follow(self, event: tuple) -> None:
        """The next event of a recording."""
        getattr(self, event[0])(*event[1:])

    # -- what programs do ---------------------------------------------------------------

    def make(self, number: int, thing: str, target: str = "") -> None:
        self.things[number] = Link(target) if thing == "link" else Folder() if thing == "folder" else File()

    def move(self, comes: tuple[int, str, int] | None, goes: tuple[int, str, int] | None) -> None:
        self.moves.append(Move(comes, goes))

    def write(self, number: int, start: int, data: bytes) -> None:
        self.things[number].pieces.append(Piece(start, data))

    def cut_short(self, number: int, length: int) -> None:
        self.things[number].pieces.append(Piece(length, None))

    def sync_piece(self, number: int) -> None:
        """The last write is durable, and with it what it was written over; other pages are not."""
        file = self.things[number]
        last = file.pieces[-1]
        for piece in [each for each in file.pieces if each.start < last.end and last.start < each.end]:
            file.pieces.remove(piece)
            apply(file.synced, piece)

    def sync(self, number: int) -> None:
        thing = self.things[number]
        if isinstance(thing, File):
            for piece in thing.pieces:
                apply(thing.synced, piece)
            thing.pieces.clear()
            return
        left = []
        for move in self.moves:
            if move.comes and (move.comes[0] == number or (move.goes and move.goes[0] == number)):
                self._name(move.comes)
                move.comes = None
            if move.goes and move.goes[0] == number:
                self._unname(move.goes)
                move.goes = None
            if move.comes or move.goes:
                left.append(move)
        self.moves = left

    def sync_all(self) -> None:
        for number in self.things:
            if not isinstance(self.things[number], Link):
                self.sync(number)

    def mark(self, *what: object) -> None:
        self.marks.append(what)

    def _name(self, entry: tuple[int, str, int]) -> None:
        self.things[entry[0]].names[entry[1]] = entry[2]

    def _unname(self, entry: tuple[int, str, int]) -> None:
        names = self.things[entry[0]].names
        if names.get(entry[1]) == entry[2]:
            del names[entry[1]]

    # -- what the cut leaves --------------------------------------------------------------

    def image(self, place: Path, fate: "Fate") -> None:
        """Make a folder of what is left."""
        names = {number: dict(thing.names) for number, thing in self.things.items() if isinstance(thing, Folder)}
        for move in self.moves:
            self._survive(move, names, fate)
        place.mkdir()
        self._lay(ROOT, place, names, fate)

    def _survive(self, move: Move, names: dict[int, dict[str, int]], fate: "Fate") -> None:
        if not fate.name():
            return
        if move.comes:
            names[move.comes[0]][move.comes[1]] = move.comes[2]
        if move.goes:
            folder, name, what = move.goes
            together = move.comes is None or move.comes[0] == folder
            if names[folder].get(name) == what and (together or fate.name()):
                del names[folder][name]

    def _lay(self, number: int, place: Path, names: dict[int, dict[str, int]], fate: "Fate") -> None:
        for name, what in names[number].items():
            thing, path = self.things[what], place / name
            if isinstance(thing, Folder):
                path.mkdir()
                self._lay(what, path, names, fate)
            elif isinstance(thing, Link):
                os.symlink(thing.target, path)
            else:
                path.write_bytes(fate.content(thing))


def apply(content: bytearray, piece: Piece) -> None:
    """Write a piece whole."""
    if piece.data is None:
        del content[piece.start :]
        content.extend(bytes(piece.start - len(content)))
        return
    content.extend(bytes(max(0, piece.start - len(content))))
    content[piece.start : piece.end] = piece.data


class Fate:
    """What becomes of what was not synced: number 0 loses all of it, 1 nothing, others at random."""

    def __init__(self, number: int, seed: str) -> None:
        self.random = Random(f"{seed} {number}")
        self._all = number == 1
        self._likely = {0: 0.0, 1: 1.0}.get(number, self.random.choice((0.1, 0.5, 0.9)))

    def name(self) -> bool:
        return self.random.random() < self._likely

    def content(self, file: File) -> bytearray:
        content = bytearray(file.synced)
        if not file.pieces:
            return content
        prefix = self.random.random() < 0.3 and self._likely not in (0.0, 1.0)
        last = self.random.randrange(len(file.pieces))
        length = len(content)
        for number, piece in enumerate(file.pieces):
            length = max(length, piece.end) if piece.data is not None else piece.start
            if number < last if prefix else self.random.random() < self._likely:
                self._land(content, piece)
        if self.random.random() < self._likely / 2:  # the length came, the bytes did not
            content.extend(bytes(max(0, length - len(content))))
        return content

    def _land(self, content: bytearray, piece: Piece) -> None:
        whole = self._all or piece.data is None or self.random.random() < 0.4
        if whole:
            apply(content, piece)
        elif self.random.random() < 0.3:
            end = self.random.randrange(piece.start, piece.end + 1)
            end -= end % SECTORS[0]  # a disk writes a sector or does not
            apply(content, Piece(piece.start, piece.data[: max(0, end - piece.start)]))
        else:
            sector, likely = self.random.choice(SECTORS), self.random.choice((0.1, 0.5, 0.9))
            at = piece.start
            while at < piece.end:
                end = min(piece.end, at - at % sector + sector)
                if self.random.random() < likely:
                    apply(content, Piece(at, piece.data[at - piece.start : end - piece.start]))
                at = end
