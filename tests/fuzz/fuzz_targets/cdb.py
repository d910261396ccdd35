"""Databases with anything in them: an answer or "damaged", at once."""

from appliance import cdb, users
from appliance.accounts import Accounts
from appliance.rcpthosts import RcptHosts

WORDS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\x08\0\0", b"\2\0\0\0", b"!a\0", b"\0" * 8, b"!")


def target(data: bytes) -> None:
    # the header is mostly empty: an input is its first byte, what stands in all its pointers, and the rest
    if len(data) < cdb.HEADER:
        data = (data[1:9].ljust(8, b"\0") * 256 + data[9:]) if data[:1] == b"p" else data
    _asked(data, lambda: users.Users(data), lambda table, key: table.find(key))
    _asked(data, lambda: Accounts(data), lambda table, key: table.find(key))
    _asked(data, lambda: RcptHosts([], cdb.Reader(data)), lambda hosts, key: hosts.accept(b"x@" + key))


def _asked(data, make, ask) -> None:
    try:
        table = make()
        for key in (b"", b"a", b"alice@a.example", b"A-b.c.d", data[-9:]):
            ask(table, key)
    except ValueError as error:
        assert "cdb" in str(error), error
