"""The constant database of users/cdb, byte for byte as qmail-newu writes it.

Format (http://cr.yp.to/cdb/cdb.txt): 256 table pointers, records, 256 hash tables; all numbers
are little-endian 32 bits; tables have two slots an entry and records stay in input order.
"""

import struct
from collections.abc import Iterable

_PAIR = struct.Struct("<II")
HEADER = 2048


def hash_key(key: bytes) -> int:
    """The cdb hash: h = (h * 33) xor byte, from 5381."""
    h = 5381
    for byte in key:
        h = ((h * 33) ^ byte) & 0xFFFFFFFF
    return h


def write(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole file for these records, duplicates kept in their order.

    Raises ValueError if it would pass 4 GiB.
    """
    body: list[bytes] = []
    tables: list[list[tuple[int, int]]] = [[] for _ in range(256)]
    position = HEADER
    for key, data in records:
        h = hash_key(key)
        tables[h & 255].append((h, position))
        body.append(_PAIR.pack(len(key), len(data)) + key + data)
        position += len(body[-1])
    header: list[bytes] = []
    for table in tables:
        size = 2 * len(table)
        slots = [(0, 0)] * size
        for h, where in table:
            slot = (h >> 8) % size
            while slots[slot][1]:
                slot = (slot + 1) % size
            slots[slot] = (h, where)
        header.append(_PAIR.pack(position if position <= 0xFFFFFFFF else 0, size))
        body.extend(_PAIR.pack(*slot) for slot in slots)
        position += 8 * size
    if position > 0xFFFFFFFF:
        raise ValueError("users/cdb would be larger than 4 GiB")
    return b"".join(header + body)


class Reader:
    """Look-ups in the bytes of a cdb (a bytes object or an mmap)."""

    def __init__(self, data: bytes) -> None:
        if len(data) < HEADER:
            raise ValueError("not a cdb: shorter than its header")
        self._data = data

    def get(self, key: bytes) -> bytes | None:
        """The first record's data under `key`, or None. Raises ValueError if the file is damaged."""
        data = self._data
        h = hash_key(key)
        try:
            table, size = _PAIR.unpack_from(data, (h & 255) * 8)
            for step in range(size):
                slot_hash, where = _PAIR.unpack_from(data, table + ((h >> 8) + step) % size * 8)
                if not where:
                    return None
                if slot_hash == h:
                    key_size, data_size = _PAIR.unpack_from(data, where)
                    start = where + 8 + key_size
                    if data[where + 8 : start] == key:
                        return bytes(data[start : start + data_size])
        except struct.error as damage:
            raise ValueError("damaged cdb: a pointer leads out of the file") from damage
        return None
