"""Address lists: read or refused; what is written from them reads as the same addresses; rewriting loses nobody."""

from appliance.message.address_list import Address, AddressError, addresses, parse, write
from appliance.message.rewriting import Hosts, raw, rewrite

WORDS = (
    b"@",
    b",",
    b"<",
    b">",
    b"(",
    b")",
    b";",
    b":",
    b'"',
    b"\\",
    b"[",
    b"]",
    b"a.b",
    b"\n ",
    b"\r\n\t",
    b"@[]",
    b"+",
)
_HOSTS = Hosts(b"host", b"domain.example", b"plus.example")


def target(data: bytes) -> None:
    try:
        parts = parse(data)
    except AddressError:
        pass
    else:
        found = addresses(parts)
        again = addresses(parse(write(parts, len(data) % 80)))
        assert [address.plain for address in again] == [address.plain for address in found]
        rewritten = [rewrite(part, _HOSTS) if isinstance(part, Address) else part for part in parts]
        assert len(addresses(rewritten)) == len(found)
        parse(write(rewritten, 0))
    once = rewrite(raw(data), _HOSTS)
    # of several dots at the end one is taken away each time, as in qmail
    assert b".." in data or rewrite(once, _HOSTS).plain == once.plain
