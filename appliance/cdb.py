"""The constant database of users/cdb and morercpthosts.cdb, byte for byte as qmail's commands write it.

Format (http://cr.yp.to/cdb/cdb.txt): 256 table pointers, records, 256 hash tables; all numbers
are little-endian 32 bits; tables have two slots an entry and records stay in input order.
"""

import io
import struct
import sys
from array import array
from collections.abc import Iterable
from typing import BinaryIO

_PAIR = struct.Struct("<II")
HEADER = 2048
START = 5381  # the hash of an empty key
_LARGEST = 0xFFFFFFFF


def hash_key(key: bytes) -> int:
    """The cdb hash: h = (h * 33) xor byte, from 5381."""
    h = START
    for byte in key:
        h = ((h * 33) ^ byte) & 0xFFFFFFFF
    return h


def write(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole file for these records, duplicates kept in their order.

    Raises ValueError if it would pass 4 GiB.
    """
    file = io.BytesIO()
    write_file(records, file)
    return file.getvalue()


def write_file(records: Iterable[tuple[bytes, bytes]], file: BinaryIO) -> None:
    """Write the records to an empty file that can seek; 8 bytes a record stay in memory.

    Raises ValueError if it would pass 4 GiB, OSError.
    """
    file.write(bytes(HEADER))
    tables = [array("I") for _ in range(256)]  # hash, position, hash, position …
    position = HEADER
    for key, data in records:
        h = hash_key(key)
        if position > _LARGEST:
            raise ValueError("a cdb can't be larger than 4 GiB")
        tables[h & 255].extend((h, position))
        file.write(_PAIR.pack(len(key), len(data)) + key + data)
        position += 8 + len(key) + len(data)
    header: list[bytes] = []
    for table in tables:
        if position > _LARGEST:
            raise ValueError("a cdb can't be larger than 4 GiB")
        header.append(_PAIR.pack(position, len(table)))
        file.write(_slots(table))
        position += 8 * len(table)
    file.seek(0)
    file.write(b"".join(header))


def _slots(entries: "array[int]") -> bytes:
    """A hash table: as many slots as `entries` has numbers, two for each of its pairs."""
    size = len(entries)
    slots = array("I", bytes(2 * size * entries.itemsize))
    for number in range(0, size, 2):
        h, where = entries[number], entries[number + 1]
        slot = (h >> 8) % size
        while slots[2 * slot + 1]:
            slot = (slot + 1) % size
        slots[2 * slot], slots[2 * slot + 1] = h, where
    if sys.byteorder == "big":
        slots.byteswap()
    return slots.tobytes()


class Reader:
    """Look-ups in the bytes of a cdb (a bytes object or an mmap). Raises ValueError if it is none."""

    def __init__(self, data: bytes) -> None:
        if len(data) < HEADER:
            raise ValueError("not a cdb: shorter than its header")
        self._data = data
        self._size = len(data)

    def get(self, key: bytes, h: int | None = None) -> bytes | None:
        """The first record's data under `key`, or None. Raises ValueError if the file is damaged.

        h: the key's hash, if it is known.  However damaged the file is, no slot is looked at twice.
        """
        data, unpack = self._data, _PAIR.unpack_from
        if h is None:
            h = hash_key(key)
        try:
            table, size = unpack(data, (h & 255) * 8)
            if table + 8 * size > self._size:
                raise ValueError("damaged cdb: a table leads out of the file")
            for number in range(h >> 8, (h >> 8) + size):
                slot_hash, where = unpack(data, table + number % size * 8)
                if not where:
                    return None
                if slot_hash == h:
                    key_size, data_size = unpack(data, where)
                    start = where + 8 + key_size
                    if start + data_size > self._size:
                        raise ValueError("damaged cdb: a record leads out of the file")
                    if key_size == len(key) and data[where + 8 : start] == key:
                        return bytes(data[start : start + data_size])
        except struct.error as damage:
            raise ValueError("damaged cdb: a pointer leads out of the file") from damage
        return None
