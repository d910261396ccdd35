"""The constant database, checked by a second reader written from the format's description."""

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
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


@settings(max_examples=300)
@given(RECORDS, st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)), max_size=6), st.integers(0))
def test_a_damaged_file_gives_an_answer_or_an_error(
    records: list[tuple[bytes, bytes]], overwrites: list[tuple[int, bytes]], cut: int
) -> None:
    """Random bytes, wherever they are, and a cut: a ValueError or an answer, at once."""
    data = bytearray(cdb.write(records))
    for number, put in overwrites:
        position = number % len(data)
        data[position : position + len(put)] = put[: len(data) - position]
    if cut % 2:
        del data[max(2048, cut % (len(data) + 1)) :]
    reader = cdb.Reader(bytes(data))
    for key in [*(key for key, _ in records), b"other"]:
        try:
            reader.get(key)
        except ValueError as error:
            assert "damaged" in str(error)  # noqa: PT017


def test_a_table_without_an_empty_slot_ends_the_search() -> None:
    """A circle in the probing is no hang: each slot is looked at once."""
    whole = bytearray(cdb.write([(b"k", b"v")]))
    h = cdb.hash_key(b"k")
    table, slots = struct.unpack_from("<II", whole, (h & 255) * 8)
    assert slots == 2
    for slot in range(slots):
        struct.pack_into("<II", whole, table + 8 * slot, h ^ 256, 2048)
    assert cdb.Reader(bytes(whole)).get(b"k") is None


@pytest.mark.parametrize(("at", "value"), [(0, 2**32 - 1), (4, 2**32 - 1)])
def test_a_record_longer_than_the_file_is_damage(at: int, value: int) -> None:
    """Neither its key nor its data is read beyond the end."""
    whole = bytearray(cdb.write([(b"k", b"v")]))
    struct.pack_into("<I", whole, 2048 + at, value)
    with pytest.raises(ValueError, match="damaged"):
        cdb.Reader(bytes(whole)).get(b"k")


def test_freecdb_s_cdbmake_writes_the_same_bytes(tmp_path: Path) -> None:
    """The same records by the cdb tools that everybody has: the same file."""
    cdbmake = shutil.which("cdbmake")
    if cdbmake is None:
        pytest.skip("cdbmake is not here (Debian package freecdb)")
    records = [(b"key%d" % (number % 700), b"data" * (number % 5)) for number in range(1000)]
    text = b"".join(b"+%d,%d:%b->%b\n" % (len(key), len(data), key, data) for key, data in records)
    subprocess.run([cdbmake, tmp_path / "cdb", tmp_path / "tmp"], input=text + b"\n", check=True)
    written = io.BytesIO()
    cdb.write_file(records, written)
    assert (tmp_path / "cdb").read_bytes() == written.getvalue() == cdb.write(records)
