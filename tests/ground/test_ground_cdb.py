"""The constant database, checked by a second reader written from the format's description."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import cdb

RECORDS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=30)), max_size=40)


def independent(data: bytes, key: bytes) -> list[bytes]:
    """All data under a key: the hash by arithmetic, every slot of the table looked at in probing order."""
    h = 5381
    for byte in key:
        h = ((h << 5) + h) % 2**32 ^ byte
    position, slots = struct.unpack_from("<II", data, 8 * (h % 256))
    found = []
    for n in range(slots):
        slot_hash, where = struct.unpack_from("<II", data, position + 8 * ((h // 256 + n) % slots))
        if where == 0:
            break
        if slot_hash == h:
            key_size, data_size = struct.unpack_from("<II", data, where)
            if data[where + 8 :][:key_size] == key:
                found.append(data[where + 8 + key_size :][:data_size])
    return found


@given(RECORDS)
def test_another_reader_finds_every_record_in_its_order(records: list[tuple[bytes, bytes]]) -> None:
    """Files of ours can be read by any cdb tool."""
    data = cdb.write(records)
    for key, _ in records:
        assert independent(data, key) == [value for k, value in records if k == key]


@given(RECORDS, st.binary(max_size=20))
def test_the_reader_gives_the_first_of_duplicates_and_none_for_the_rest(
    records: list[tuple[bytes, bytes]], other: bytes
) -> None:
    """In users/cdb the first line wins (trap 1)."""
    reader = cdb.Reader(cdb.write(records))
    first: dict[bytes, bytes] = {}
    for key, value in records:
        first.setdefault(key, value)
    for key in [*first, other]:
        assert reader.get(key) == first.get(key)


def test_the_hash_of_known_keys() -> None:
    """The hash is h = (h * 33) xor byte, from 5381."""
    assert cdb.hash_key(b"") == 5381
    assert cdb.hash_key(b"a") == (5381 * 33) ^ 97
    assert cdb.hash_key(b"\xff" * 1000) < 2**32


def test_an_empty_database_is_its_header_with_empty_tables() -> None:
    """256 pointers to tables without slots."""
    assert cdb.write([]) == struct.pack("<II", 2048, 0) * 256


def test_one_record_byte_for_byte() -> None:
    """The format's example: record, then a table of two slots."""
    data = cdb.write([(b"one", b"1")])
    h = cdb.hash_key(b"one")
    assert data[2048:2060] == struct.pack("<II", 3, 1) + b"one1"
    assert len(data) == 2060 + 16
    slots = [(0, 0), (0, 0)]
    slots[(h >> 8) % 2] = (h, 2048)
    assert data[2060:] == struct.pack("<IIII", *slots[0], *slots[1])


@pytest.mark.parametrize("size", [0, 100, 2047])
def test_a_cut_header_is_no_database(size: int) -> None:
    """A damaged file is said to be damaged."""
    with pytest.raises(ValueError, match="header"):
        cdb.Reader(cdb.write([(b"k", b"v")])[:size])


def test_a_pointer_out_of_the_file_is_damage_not_absence() -> None:
    """A user behind a damaged record is not "unknown": mail for him must wait."""
    whole = cdb.write([(b"k", b"v")])
    with pytest.raises(ValueError, match="damaged"):
        cdb.Reader(whole[:-16]).get(b"k")
