"""The kinds of lines that qmail's own control files hold.  Pure; ValueError completes "found 'x'; …"."""

import ipaddress

from appliance.config import values


def count(text: str) -> int:
    """A whole number."""
    if not text.isdigit() or len(text) > 18:
        raise ValueError("a whole number is needed")
    return int(text)


def host(text: str) -> str:
    """A domain, or an address in brackets."""
    if text[:1] == "[" and text[-1:] == "]":
        ipaddress.ip_address(text[1:-1])
        return text
    return values.domain(text)


def listed(text: str) -> str:
    """An entry of rcpthosts: a domain, or .domain for everything below it."""
    return text[:1] + values.domain(text[1:]) if text[:1] == "." else host(text)


def virtual(text: str) -> tuple[str, str]:
    """A line of virtualdomains: a domain, .domain, user@domain or nothing; a colon; what stands before the address."""
    key, colon, prepend = text.partition(":")
    if not colon:
        raise ValueError("domain:prefix is needed; .domain, user@domain or nothing may stand before the colon")
    local, _, name = key.rpartition("@")
    if name or local:
        listed(name)
    if "@" in prepend or " " in prepend:
        raise ValueError("after the colon stands the beginning of a local address, without blanks and @")
    return key, prepend


def route(text: str) -> tuple[str, str]:
    """A line of smtproutes: a domain, .domain or nothing; a colon; nothing (by MX), or a host with or without :port."""
    key, colon, relay = text.partition(":")
    if not colon:
        raise ValueError("domain:relay:port is needed; .domain or nothing may stand before the first colon")
    if key:
        listed(key)
    name, colon, port = relay.partition(":") if relay[:1] != "[" else relay[1:].partition("]")
    if colon and port.removeprefix(":") and not 1 <= count(port.removeprefix(":")) <= 65535:
        raise ValueError("a port is 1 to 65535")
    if name and relay[:1] != "[" and not name.replace(".", "").isdigit():
        values.domain(name)
    elif name:
        ipaddress.ip_address(name)
    return key, relay
