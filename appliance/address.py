"""Mail addresses as bytes: taking them apart, comparing and quoting them."""

import re

# RFC 5322 section 3.2.3: atext; a dot-atom needs no quotes (RFC 5321 section 4.1.2)
_DOT_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*\Z")
_SPECIAL = re.compile(rb'(["\\\r\n])')
# what may stand between < and >, its local part quoted or not, without becoming another address, a parameter or a line
_DOMAIN = rb'(?:[^\0- <>()\[\]\\,;:"@\x7f]*|\[[A-Za-z0-9:.\-]*\])'
_SENDABLE = re.compile(rb"(?:[^\r\n\0]*@)?" + _DOMAIN + rb"\Z")
_ONE_LINE = bytes.maketrans(b"\r\n\0", b"___")


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


def sendable(address: bytes) -> bool:
    """Whether it stays one address in a command of SMTP: no line end, and no domain that leaves its brackets."""
    if is_verp(address):  # what each recipient will see ends in the host before it
        address = address[: -len(b"-@[]")]
    return _SENDABLE.match(address) is not None


def one_line(text: bytes) -> bytes:
    """Text that may stand in a header line: LF becomes _ as in qmail, and so does CR, which is a line end to others."""
    return text.translate(_ONE_LINE)


def is_verp(sender: bytes) -> bool:
    """A sender that is another one for each recipient, `pre@host-@[]` (qmail's VERP)."""
    return sender.endswith(b"-@[]") and sender.count(b"@") > 1


def verp(sender: bytes, recipient: bytes) -> bytes:
    """The sender as a recipient sees it: `pre@host-@[]` becomes `prer=rhost@host`, any other stays."""
    if not is_verp(sender):
        return sender
    prefix, _, host = sender[: -len(b"-@[]")].rpartition(b"@")
    box, at, domain = recipient.rpartition(b"@")
    return prefix + box + b"=" + domain + b"@" + host if at else sender
