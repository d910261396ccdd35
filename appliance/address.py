"""Mail addresses as bytes: taking them apart, comparing and quoting them."""

import re

# RFC 5322 section 3.2.3: atext; a dot-atom needs no quotes (RFC 5321 section 4.1.2)
_DOT_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*\Z")
_SPECIAL = re.compile(rb'(["\\\r\n])')


def split(address: bytes) -> tuple[bytes, bytes]:
    """Local part and domain, cut at the last @; the domain is empty if there is none."""
    local, at, domain = address.rpartition(b"@")
    return (local, domain) if at else (address, b"")


def quote(address: bytes) -> bytes:
    """The address as it stands between < and >: its local part quoted if it must be."""
    local, at, domain = address.rpartition(b"@")
    if not at or _DOT_ATOM.match(local):
        return address
    return b'"' + _SPECIAL.sub(rb"\\\1", local) + b'"@' + domain


def one_line(text: bytes) -> bytes:
    """Text that may stand in a header line: LF becomes _ as in qmail."""
    return text.replace(b"\n", b"_")
