"""What qmail-inject makes of an address as people write it: one with a full host name (contracts: address rewriting).

Pure.
"""

import re
from typing import NamedTuple

from appliance.message.address_list import ATOM, LITERAL, QUOTED, Address, Token

_ATOM = re.compile(rb"[^ \t\r\n(\[\"<>;:@,.\\)\]]+\Z")
_AT: Token = ("@", b"@")
_DOT: Token = (".", b".")


class Hosts(NamedTuple):
    """What is added: to an address without host, a host without dot, a host that ends in +."""

    default_host: bytes
    default_domain: bytes
    plus_domain: bytes


def raw(text: bytes) -> Address:
    """An address as an argument of a command or a variable names it: the local part needs no quotes."""
    local, at, host = text.rpartition(b"@")
    if not at:
        return words(text)
    return Address([*words(local), _AT, *_host(host)])


def words(local: bytes) -> Address:
    """A local part as tokens: as it is, or quoted if it must be."""
    pieces = local.split(b".")
    if not local:
        return Address()
    if not all(_ATOM.match(piece) for piece in pieces):
        return Address([(QUOTED, local)])
    return Address(_dotted(pieces))


def rewrite(address: Address, hosts: Hosts) -> Address:
    """The address with a full host; an empty one and one at `@[]` stay."""
    tokens = list(address)
    if not tokens or tokens[-1] == (LITERAL, b""):
        return address
    if tokens[0][0] == "@":  # a route; all that counts is where it ends
        colon = next((place for place, (kind, _) in enumerate(tokens) if kind == ":"), len(tokens))
        tokens = tokens[colon + 1 :]
    for end in (".", "@"):
        if tokens and tokens[-1][0] == end:
            tokens.pop()
    if not tokens:
        return Address()
    if _AT not in tokens:
        tokens += [_AT, *_host(hosts.default_host)]
    kind, text = tokens[-1]
    if kind == ATOM and text.endswith(b"+"):
        tokens[-1:] = [*([(ATOM, text[:-1])] if len(text) > 1 else []), _DOT, *_host(hosts.plus_domain)]
    start = len(tokens) - tokens[::-1].index(_AT)
    if not any(kind in (".", LITERAL) for kind, _ in tokens[start:]):
        tokens += [_DOT, *_host(hosts.default_domain)]
    return Address(tokens)


def _host(text: bytes) -> list[Token]:
    if text[:1] == b"[" and text[-1:] == b"]":
        return [(LITERAL, text[1:-1])]
    return _dotted(text.split(b"."))


def _dotted(pieces: list[bytes]) -> list[Token]:
    tokens: list[Token] = []
    for number, piece in enumerate(pieces):
        if number:
            tokens.append(_DOT)
        if piece:
            tokens.append((ATOM, piece))
    return tokens
