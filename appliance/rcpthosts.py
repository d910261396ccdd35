"""Which domains a host takes mail for from everybody: rcpthosts, and morercpthosts.cdb for long lists.

Both hold `domain` and `.suffix` entries; unlike in virtualdomains an empty entry means nothing.
"""

import io
import mmap
from collections.abc import Iterable
from typing import BinaryIO

from appliance import cdb
from appliance.control import Generation
from appliance.route import suffixes

MORE = "morercpthosts.cdb"


class RcptHosts:
    """The list of one generation.

    hosts: rcpthosts, None if there is no such file; more: morercpthosts.cdb, which counts only beside rcpthosts.
    """

    def __init__(self, hosts: Iterable[bytes] | None, more: cdb.Reader | None = None) -> None:
        self.missing = hosts is None
        self._hosts = frozenset(host.lower() for host in hosts or ())
        self._more = None if hosts is None else more

    @classmethod
    def of(cls, generation: Generation) -> "RcptHosts":
        """Raises OSError, ValueError if the files can't be read."""
        more = None
        try:
            with open(generation.folder / "control" / MORE, "rb") as file:
                more = cdb.Reader(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))  # type: ignore[arg-type]
        except FileNotFoundError:
            pass
        return cls(generation.lines("rcpthosts"), more)

    def accept(self, recipient: bytes) -> bool:
        """Whether the domain of a recipient is in the list; a recipient without one is.

        Raises ValueError if morercpthosts.cdb is damaged.
        """
        _, at, domain = recipient.rpartition(b"@")
        if not at:
            return True
        if domain[:1] == b".":  # an entry is not one of the domains that it stands for
            return False
        domain = domain.lower()
        if domain in self._hosts:
            return True
        keys = [key for key in suffixes(domain) if key]
        if any(key in self._hosts for key in keys):
            return True
        return self._more is not None and any(self._more.get(key) is not None for key in keys)


def build(lines: Iterable[bytes]) -> bytes:
    """morercpthosts.cdb for the lines of morercpthosts, as qmail-newmrh makes it."""
    file = io.BytesIO()
    build_file(lines, file)
    return file.getvalue()


def build_file(lines: Iterable[bytes], file: BinaryIO) -> None:
    """Write it into an empty file: a key a line, in small letters, without data. Raises ValueError, OSError."""
    stripped = (line.rstrip(b" \t\n").lower() for line in lines)
    cdb.write_file(((line, b"") for line in stripped if line and line[:1] != b"#"), file)
