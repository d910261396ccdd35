"""Who a local address belongs to: qmail-lspawn's look-up in users/cdb.

Exact entries win over wildcards, a longer wildcard over a shorter one; the look-up folds
case, the extension keeps it.
"""

import mmap
from dataclasses import dataclass

from appliance import cdb
from appliance.control import Generation


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
    """The assignments of one generation."""

    def __init__(self, data: bytes) -> None:
        self._cdb = cdb.Reader(data)
        self._wildcards = self._cdb.get(b"") or b""

    @classmethod
    def of(cls, generation: Generation) -> "Users":
        """Open users/cdb. Raises OSError, ValueError if it is missing or damaged."""
        with open(generation.folder / "users" / "cdb", "rb") as file:
            # a mapped file is read like bytes; it stays valid when the generation is removed
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))  # type: ignore[arg-type]

    def find(self, local: bytes) -> User | None:
        """The user of a local part, or None. Raises ValueError if the file is damaged."""
        key = b"!" + local.lower()
        record = self._cdb.get(key + b"\0")
        if record is not None:
            return _user(record, b"")
        for length in range(len(key), 0, -1):
            if length == 1 or key[length - 1] in self._wildcards:
                record = self._cdb.get(key[:length])
                if record is not None:
                    return _user(record, local[length - 1 :])
        return None


def _user(record: bytes, tail: bytes) -> User:
    fields = record.split(b"\0")
    if len(fields) != 6:
        raise ValueError("damaged users/cdb: a record has not six fields")
    name, uid, gid, home, dash, ext = fields
    return User(name, int(uid or b"0"), int(gid or b"0"), home, dash, ext + tail)


def build(assign: bytes) -> bytes:
    """users/cdb for a users/assign file, as qmail-newu makes it. Raises ValueError with the line."""
    records: list[tuple[bytes, bytes]] = []
    wildcards = bytearray()
    for number, line in enumerate(assign.split(b"\n"), 1):
        if line[:1] == b".":
            return cdb.write([*records, (b"", bytes(wildcards))])
        key, *fields = line.split(b":")
        if b"\0" in line or not key or len(fields) < 7:  # six colons after the key, as qmail-newu
            raise ValueError(f"users/assign line {number}: =local:user:uid:gid:home:dash:ext: expected")
        data = b"\0".join(fields[:6])
        if key[:1] == b"+":
            records.append((b"!" + key[1:].lower(), data))
            if key[-1] not in wildcards and len(key) > 1:
                wildcards.append(key[-1])
        else:
            records.append((b"!" + key[1:].lower() + b"\0", data))
    raise ValueError("users/assign does not end with a line that is a single dot")
