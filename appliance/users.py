"""Who a local address belongs to: qmail-lspawn's look-up in users/cdb.

Exact entries win over wildcards, a longer wildcard over a shorter one; the look-up folds
case, the extension keeps it.
"""

import io
import mmap
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from appliance import cdb
from appliance.control import Generation

_DIGITS = re.compile(rb"[0-9]*")


@dataclass(frozen=True, slots=True)
class User:
    """An assignment: the control file of a delivery is home/.qmail + dash + ext."""

    name: bytes
    uid: int
    gid: int
    home: bytes
    dash: bytes
    ext: bytes


class Users:
    """The assignments of one generation.

    longest: bytes of the longest wildcard's key, if it is known: what is longer is not looked up
    """

    def __init__(self, data: bytes, longest: int = sys.maxsize) -> None:
        self._cdb = cdb.Reader(data)
        self._longest = longest
        # qmail folds the key of `+fooX` and not this list, and so never finds that entry
        self._wildcards = (self._cdb.get(b"") or b"").lower()

    @classmethod
    def of(cls, generation: Generation) -> "Users":
        """Open users/cdb. Raises OSError, ValueError if it is missing or damaged."""
        folder = generation.folder / "users"
        try:
            longest = int((folder / "longest").read_bytes())
        except FileNotFoundError:
            longest = sys.maxsize
        with open(folder / "cdb", "rb") as file:
            # a mapped file is read like bytes; it stays valid when the generation is removed
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), longest)  # type: ignore[arg-type]

    def find(self, local: bytes) -> User | None:
        """The user of a local part, or None. Raises ValueError if the file is damaged."""
        key = b"!" + local.lower()
        record = self._cdb.get(key + b"\0")
        if record is not None:
            return _user(record, b"")
        key = key[: self._longest + 1]
        hashes: list[int] = []  # of every prefix, so that a long name costs no more than its length
        h = cdb.START
        for byte in key:
            h = ((h * 33) ^ byte) & 0xFFFFFFFF
            hashes.append(h)
        wildcards, get = self._wildcards, self._cdb.get
        for length in range(len(key), 1, -1):
            if key[length - 1] in wildcards:
                record = get(key[:length], hashes[length - 1])
                if record is not None:
                    return _user(record, local[length - 1 :])
        record = get(b"!", hashes[0])
        return None if record is None else _user(record, local)


def _user(record: bytes, tail: bytes) -> User:
    fields = record.split(b"\0")
    if len(fields) != 6:
        raise ValueError("damaged users/cdb: a record has not six fields")
    name, uid, gid, home, dash, ext = fields
    return User(name, _number(uid), _number(gid), home, dash, ext + tail)


def _number(text: bytes) -> int:
    """The digits at the start; none are 0, as in qmail."""
    if text.isdigit() and len(text) < 10:  # nearly always
        return int(text)
    digits = _DIGITS.match(text)
    return int(digits[0][:18] or b"0") if digits else 0


def longest(assign: bytes) -> int:
    """Bytes of the longest key of a wildcard in users/assign, in which each has a colon."""
    return max((line.find(b":") - 1 for line in assign.split(b"\n") if line[:1] == b"+"), default=0)


def build(assign: bytes) -> bytes:
    """users/cdb for a users/assign file, as qmail-newu makes it. Raises ValueError with the line."""
    file = io.BytesIO()
    build_file(assign.split(b"\n"), file)
    return file.getvalue()


def build_file(assign: Iterable[bytes], file: BinaryIO) -> None:
    """Write users/cdb into an empty file, from the lines of users/assign. Raises ValueError, OSError."""
    cdb.write_file(_records(assign), file)


def _records(assign: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    wildcards = bytearray()
    for number, raw in enumerate(assign, 1):
        line = raw[:-1] if raw[-1:] == b"\n" else raw
        if line[:1] == b".":
            yield b"", bytes(wildcards)
            return
        key, *fields = line.split(b":")
        if b"\0" in line or not key or len(fields) < 7:  # six colons after the key's, as qmail-newu
            raise ValueError(f"users/assign line {number}: =local:user:uid:gid:home:dash:ext: expected")
        data = b"\0".join(fields[:6])
        if key[:1] == b"+":
            if len(key) > 1 and key[-1] not in wildcards:
                wildcards.append(key[-1])
            yield b"!" + key[1:].lower(), data
        else:
            yield b"!" + key[1:].lower() + b"\0", data
    raise ValueError("users/assign does not end with a line that is a single dot")
