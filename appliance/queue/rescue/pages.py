"""The pages of a database file, read without SQLite, which gives up at the first that is damaged.

Format: https://www.sqlite.org/fileformat2.html, sections 1.2 to 1.6 and 2.1.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct, error, unpack_from
from typing import NamedTuple

from appliance.queue.rescue import wal

MAGIC = b"SQLite format 3\0"
USUAL = 16384  # bytes of a page, if the file's head can't say
_LEAF, _INNER = 0x0D, 0x05  # kinds of pages of tables
_DEEP = 20
_WHOLE = 1 << 31  # bytes, longer than any row
_HIGHEST = (1 << 63) - 1
_REAL = Struct(">d")

Value = int | float | bytes | None


class Unreadable(ValueError):
    """A page or a row that can't be what it should be."""


class Row(NamedTuple):
    """A row of a table: its number, and its columns as they are stored."""

    id: int
    values: list[Value]


class Leaf(NamedTuple):
    """A page of rows, or a gap where one or more can't be read; its rows have numbers above `low`, up to `high`."""

    page: int
    low: int
    high: int
    readable: bool


class Pages:
    """A database file with its write-ahead log over it. Raises OSError if they can't be read at all."""

    def __init__(self, database: Path, log: wal.Log) -> None:
        self._file = database.open("rb")
        self._length = self._file.seek(0, 2)
        self._log = (database.with_name(database.name + "-wal")).open("rb") if log.frames else None
        self._frames = {frame.page: frame.offset for frame in log.frames}
        self.size = USUAL
        commits = [frame.commit for frame in log.frames if frame.commit]
        head = self._head()
        self.has_head = head[:16] == MAGIC
        if self.has_head:
            found = int.from_bytes(head[16:18], "big")
            found = 65536 if found == 1 else found
            if found in wal.SIZES:
                self.size = found
        self.usable = self.size - (head[20] if self.has_head and len(head) > 20 else 0)
        self.count = commits[-1] if commits else -(-self._length // self.size)
        self.count = max(self.count, *self._frames, 0)
        self.inner: set[int] = set()  # pages above leaves that `leaves` has passed

    def _head(self) -> bytes:
        for file, offset in ((self._log, self._frames.get(1)), (self._file, 0)):
            if file is not None and offset is not None:
                file.seek(offset)
                if (head := file.read(100))[:16] == MAGIC:
                    return head
        return head

    def page(self, number: int) -> bytes:
        """A page's bytes. Raises Unreadable if it is not in the file."""
        if not 0 < number <= self.count:
            raise Unreadable(f"no page {number}")
        offset = self._frames.get(number)
        file = self._file if offset is None or self._log is None else self._log
        file.seek((number - 1) * self.size if offset is None else offset)
        try:
            data = file.read(self.size)
        except OSError as cause:  # a bad block of the disk is as good as a damaged page
            raise Unreadable(f"page {number}: {cause}") from cause
        if len(data) < self.size:
            raise Unreadable(f"the file ends before page {number}")
        return data

    def length(self) -> int:
        """Pages that the file itself has."""
        return self._length // self.size

    def logged(self, number: int) -> bool:
        """Whether the log has a newer image of that page, or its only one."""
        return number in self._frames

    # -- trees --------------------------------------------------------------------------

    def leaves(self, root: int) -> Iterator[Leaf]:
        """The leaves of a table, in order, with gaps for what can't be reached; leaves themselves are not read."""
        yield from self._below(root, 0, _HIGHEST, _DEEP, set())

    def _below(self, number: int, low: int, high: int, deep: int, seen: set[int]) -> Iterator[Leaf]:
        try:
            if number in seen or not deep:
                raise Unreadable(f"page {number} twice in a tree")
            seen.add(number)
            inner = self._children(number)
        except Unreadable:
            yield Leaf(number, low, high, readable=False)
            return
        if inner is None:
            yield Leaf(number, low, high, readable=True)
            return
        self.inner.add(number)
        # the children of the first inner page tell whether those are leaves: the others are alike
        kinds = [self._kind(child) for child, _ in inner[:3]]
        last = kinds.count(_LEAF) > kinds.count(_INNER)
        for child, key in inner:
            if last:
                ok = 0 < child <= self.count and child not in seen
                seen.add(child)
                yield Leaf(child, low, min(key, high), readable=ok)
            else:
                yield from self._below(child, low, min(key, high), deep - 1, seen)
            low = key

    def _kind(self, number: int) -> int:
        try:
            return self.page(number)[100 if number == 1 else 0]
        except Unreadable:
            return 0

    def _children(self, number: int) -> list[tuple[int, int]] | None:
        """The children of an inner page with their highest row numbers; None if it is a leaf. Raises Unreadable."""
        data = self.page(number)
        start = 100 if number == 1 else 0
        if data[start] == _LEAF:
            return None
        if data[start] != _INNER:
            raise Unreadable(f"page {number} is of no table")
        try:
            cells, last = unpack_from(">H", data, start + 3)[0], unpack_from(">I", data, start + 8)[0]
            found: list[tuple[int, int]] = []
            for (pointer,) in Struct(">H").iter_unpack(data[start + 12 : start + 12 + 2 * cells]):
                key, _ = varint(data, pointer + 4)
                found.append((unpack_from(">I", data, pointer)[0], key))
        except (error, IndexError) as cause:
            raise Unreadable(f"page {number}") from cause
        keys = [key for _, key in found]
        if keys != sorted(keys):
            raise Unreadable(f"page {number} is not in order")
        return [*found, (last, _HIGHEST)]

    def rows(self, number: int) -> list[Row | None]:
        """The rows of a leaf, None for each that can't be read. Raises Unreadable if it is no leaf."""
        data = self.page(number)
        start = 100 if number == 1 else 0
        if data[start] != _LEAF:
            raise Unreadable(f"page {number} is no leaf")
        cells = unpack_from(">H", data, start + 3)[0]
        if start + 8 + 2 * cells > self.size:
            raise Unreadable(f"page {number} has {cells} rows")
        found: list[Row | None] = []
        for (pointer,) in Struct(">H").iter_unpack(data[start + 8 : start + 8 + 2 * cells]):
            try:
                found.append(self._row(data, pointer))
            except (Unreadable, error, IndexError):
                found.append(None)
        return found

    def _row(self, data: bytes, position: int) -> Row:
        length, position = varint(data, position)
        number, position = varint(data, position)
        if length > _WHOLE:
            raise Unreadable("a row without end")
        here = self._local(length)
        payload = data[position : position + here]
        if length > here:
            payload += self._overflow(unpack_from(">I", data, position + here)[0], length - here)
        if len(payload) < length:
            raise Unreadable("a row that ends early")
        return Row(number, values(payload))

    def _local(self, length: int) -> int:
        """Bytes of a row that are in the leaf itself."""
        most = self.usable - 35
        if length <= most:
            return length
        least = (self.usable - 12) * 32 // 255 - 23
        here = least + (length - least) % (self.usable - 4)
        return here if here <= most else least

    def _overflow(self, number: int, length: int) -> bytes:
        pieces: list[bytes] = []
        while length > 0:
            data = self.page(number)
            pieces.append(data[4 : min(self.usable, 4 + length)])
            length -= len(pieces[-1])
            number = unpack_from(">I", data)[0]
        return b"".join(pieces)

    def free(self) -> set[int] | None:
        """The pages of no use; None if the list of them is damaged."""
        try:
            head = self.page(1)
            trunk, count = unpack_from(">II", head, 32)
            found: set[int] = set()
            while trunk:
                data = self.page(trunk)
                following, cells = unpack_from(">II", data)
                if trunk in found or cells > self.usable // 4 - 2:
                    return None
                found |= {trunk, *unpack_from(f">{cells}I", data, 8)}
                trunk = following
        except (Unreadable, error):
            return None
        return found if len(found) == count and self.has_head else None

    def close(self) -> None:
        """Let go of the files."""
        self._file.close()
        if self._log is not None:
            self._log.close()


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of up to nine bytes, and where it ends. Raises IndexError."""
    value = 0
    for _ in range(8):
        byte = data[position]
        position += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position
    value = value << 8 | data[position]
    return value - (1 << 64) if value >= 1 << 63 else value, position + 1


_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def values(payload: bytes) -> list[Value]:
    """The columns of a row. Raises Unreadable, IndexError."""
    head, position = varint(payload, 0)
    found: list[Value] = []
    at = head
    while position < head:
        kind, position = varint(payload, position)
        value: Value = None
        size = _INTEGERS.get(kind, 0)
        if size:
            value = int.from_bytes(payload[at : at + size], "big", signed=True)
        elif kind == 7:
            size, value = 8, _REAL.unpack_from(payload, at)[0]
        elif kind in (8, 9):
            value = kind - 8
        elif kind >= 12:
            size = (kind - 12) // 2
            value = payload[at : at + size]
        elif kind:
            raise Unreadable("a column of no kind")
        at += size
        if at > len(payload):
            raise Unreadable("a column that goes on after the row")
        found.append(value)
    if at != len(payload):
        raise Unreadable("something after the last column")
    return found
