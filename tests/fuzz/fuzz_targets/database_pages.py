"""A damaged database of the queue and its write-ahead log, read page by page: rows, or Unreadable; never an endless walk."""

import sqlite3
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from struct import error

from appliance.queue.rescue import pages, wal

WORDS = (
    b"SQLite format 3\0",
    b"\x0d",
    b"\x05",
    b"\x7f\xff",
    b"\0\0\0\2",
    b"\x81\x00",
    b"\xff" * 9,
    b"\0\1",
    b"\x37\x7f\x06\x82",
)
_PAGE = 512


@cache
def _sound() -> bytes:
    """A small database, which the input is laid over."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        connection = sqlite3.connect(path)
        connection.executescript(f"pragma page_size={_PAGE}; create table t(id integer primary key, a blob, b real);")
        connection.executemany("insert into t values(?, ?, ?)", [(n, b"x" * (n * 7 % 900), n / 3) for n in range(60)])
        connection.commit()
        connection.close()
        return path.read_bytes()


def target(data: bytes) -> None:
    with suppress(pages.Unreadable, IndexError, error):
        pages.values(data)
    sound = _sound()
    at = int.from_bytes(data[:2], "big") % len(sound)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        path.write_bytes(sound[:at] + data[2:] + sound[at + len(data) - 2 :])
        path.with_name("db-wal").write_bytes(data)
        reader = pages.Pages(path, wal.read(path.with_name("db-wal")))
        try:
            for root in (1, 2):
                for leaf in list(reader.leaves(root)):
                    assert leaf.low <= leaf.high
                    if leaf.readable:
                        _rows(reader, leaf.page)
        finally:
            reader.close()


def _rows(reader: pages.Pages, number: int) -> None:
    with suppress(pages.Unreadable):
        for row in reader.rows(number):
            assert row is None or isinstance(row.id, int)
