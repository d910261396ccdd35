"""Who may relay, from tcpserver's rules: a line is `address:allow,RELAYCLIENT=""`, the most special address counts.  Pure."""

import ipaddress
import itertools
import re

from appliance.config.qmail.root import show

_OCTET = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?\Z")
_RELAYS = re.compile(r",RELAYCLIENT=(.)(.*?)\1")
_MANY = 1024  # networks of one line


def networks(rules: bytes, notes: list[str]) -> list[str]:
    """The networks of `relay.allow_from`; what can't be said that way is told."""
    found: list[ipaddress.IPv4Network] = []
    for number, line in enumerate(show(rules).split("\n"), 1):
        address, colon, instructions = line.strip().partition(":")
        if not colon or line[:1] == "#":
            continue
        where = f"tcpserver's rules line {number}"
        relays = _RELAYS.search(instructions)
        if not instructions.startswith("allow") or not relays:
            if instructions.startswith(("deny", "allow,")):
                notes.append(f"{where}: not carried over: {line.strip()}")
            elif any(inner.subnet_of(net) for inner in _of(address) or () for net in found):
                notes.append(f"{where}: {address} was excepted from a network that may relay, and is not any more")
            continue
        nets = _of(address)
        if nets is None:
            notes.append(f"{where}: not carried over, it is no network: {line.strip()}")
            continue
        if relays[2]:
            notes.append(f"{where}: {relays[2]} is not appended to recipients here; a route says where their mail goes")
        found += nets
    return [str(net) for net in ipaddress.collapse_addresses(found)]


def _of(address: str) -> list[ipaddress.IPv4Network] | None:
    """The networks of `1.2.3.4`, `1.2.`, `1.2.3-5.` or `1.2.0.0/16`; None for anything else."""
    try:
        if "/" in address:
            return [ipaddress.IPv4Network(address)]
        octets = [_octets(part) for part in address.removesuffix(".").split(".")]
        if not address or len(octets) > 4 or (len(octets) < 4) != address.endswith("."):
            return None
        bits = 8 * len(octets)
        parts = itertools.islice(itertools.product(*octets), _MANY + 1)
        texts = [".".join(map(str, (*part, *[0] * (4 - len(part))))) for part in parts]
        return [ipaddress.IPv4Network(f"{text}/{bits}") for text in texts] if len(texts) <= _MANY else None
    except ValueError:
        return None


def _octets(part: str) -> range:
    found = _OCTET.match(part)
    if not found:
        raise ValueError(part)
    return range(int(found[1]), int(found[2] or found[1]) + 1)
