"""Delivery status notifications: a text for people, fields for programs, and the message (RFC 3462, 3464, 6533).  Pure."""

import re
from hashlib import blake2b

from appliance import address
from appliance.message import qsbmf
from appliance.message.notice import Notice

LINE = 900  # bytes of a line of a field; RFC 5322 section 2.1.1 allows 998
SAID = 4000  # bytes of a peer's answer in Diagnostic-Code
_ENHANCED = re.compile(rb"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)")  # RFC 3463 section 2
_PEER = re.compile(rb"(?:Connected to )?([^\s]+) (?:does not like recipient|failed |but )")
_REMOTE = re.compile(rb"^Remote host said: (.+(?:\n\d{3}[- ].*)*)", re.MULTILINE)  # a reply of one line or more
_CONTROL = bytes.maketrans(bytes([*range(9), *range(10, 32), 127]), b"?" * 32)
_LITERAL = re.compile(rb"[0-9.]+\Z|[0-9a-fA-F:]*:[0-9a-fA-F:.]*\Z")


def write(notice: Notice) -> bytes:
    """The content of a notification: multipart/report with three parts."""
    world = not address.split(notice.recipient)[0].isascii()  # the reader takes UTF-8 in headers (RFC 6531)
    paragraphs = qsbmf.shortened(notice.paragraphs)
    parts = (_text(notice, paragraphs), _status(notice, paragraphs, world), _original(notice, world))
    boundary = _boundary(notice.name.encode(), parts)
    eight_bit = not b"".join(parts).isascii()
    return b"".join(
        (
            b"Date: " + notice.date + b"\n",
            b"From: " + address.quote(notice.sender) + b"\n",
            b"To: " + _clean(address.quote(notice.recipient)) + b"\n",
            b"Subject: " + (b"delivery is late" if notice.until else b"failure notice") + b"\n",
            b"Message-ID: <" + notice.name.encode() + b"@" + notice.host + b">\n",
            b"Auto-Submitted: auto-replied\n",  # RFC 3834 section 5
            b"MIME-Version: 1.0\n",
            b'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="' + boundary + b'"\n',
            b"Content-Transfer-Encoding: 8bit\n" if eight_bit else b"",
            b"\n",
            *(b"--" + boundary + b"\n" + part + b"\n" for part in parts),  # the last line end is the boundary's
            b"--" + boundary + b"--\n",
        )
    )


def _boundary(name: bytes, parts: tuple[bytes, ...]) -> bytes:
    """A text that stands in no part: one that knew our name for the message can't hold its own digest."""
    boundary = b"=_" + name
    if any(boundary in part for part in parts):
        boundary += b"_" + blake2b(b"".join(parts), digest_size=16).hexdigest().encode()
    return boundary


def _clean(text: bytes) -> bytes:
    """Nothing that ends a line or steers a terminal."""
    return text.replace(b"\n", b"_").translate(_CONTROL)


# -- for people ---------------------------------------------------------------------------


def _text(notice: Notice, paragraphs: list[bytes]) -> bytes:
    """The first part: qmail's text."""
    words = _late(notice) if notice.until else qsbmf.introduction(notice)
    if not notice.whole:
        why = b"" if notice.until else b": it is too large to be returned whole"
        ending = b"The header of the message is attached" + why + b".\n"
    else:
        ending = b"The message is attached.\n"
    text = (words + b"".join(paragraphs) + ending).decode("utf-8", "backslashreplace").encode()
    return _part(b"text/plain; charset=" + (b"us-ascii" if text.isascii() else b"utf-8"), text)


def _late(notice: Notice) -> bytes:
    return (
        b"This is the paperpath program at " + notice.host + b".\n"
        b"Your message of " + notice.arrived + b" could not be delivered to the addresses below yet.\n"
        b"You need not do anything: delivery is tried until " + notice.until + b".\n\n"
    )


def _part(kind: bytes, content: bytes) -> bytes:
    encoding = b"" if content.isascii() else b"Content-Transfer-Encoding: 8bit\n"
    return b"Content-Type: " + kind + b"\n" + encoding + b"\n" + content


# -- for programs -------------------------------------------------------------------------


def _status(notice: Notice, paragraphs: list[bytes], world: bool) -> bytes:
    """The second part: fields about the message, and a group of fields for each recipient."""
    fields = [b"Reporting-MTA: dns; " + notice.host + b"\nArrival-Date: " + notice.arrived + b"\n"]
    for recipient, text in map(qsbmf.apart, paragraphs):
        if recipient:
            fields.append(b"\n" + _recipient(recipient, text, notice.until, world))
    kind = b"message/global-delivery-status" if world else b"message/delivery-status"
    return _part(kind, b"".join(fields))


def _recipient(recipient: bytes, text: bytes, until: bytes, world: bool) -> bytes:
    """RFC 3464 section 2.3."""
    fields = [
        b"Final-Recipient: " + _typed(_clean(recipient), world),
        b"Action: " + (b"delayed" if until else b"failed"),
    ]
    fields.append(b"Status: " + status(text, late=bool(until)))
    said = _REMOTE.search(text)
    if said:
        peer = _PEER.match(text)
        if peer:
            name = peer[1].strip(b"[]")
            fields.append(b"Remote-MTA: dns; " + (b"[" + name + b"]" if _LITERAL.match(name) else name))
        answer = said[1][:SAID].decode("utf-8", "backslashreplace")
        lines = answer.encode("utf-8" if world else "ascii", "backslashreplace").split(b"\n")
        fields.append(b"Diagnostic-Code: smtp; " + b"\n ".join(_clean(line[:LINE]) for line in lines))
    if until:
        fields.append(b"Will-Retry-Until: " + until)
    return b"\n".join(fields) + b"\n"


def _typed(recipient: bytes, world: bool) -> bytes:
    """The address with its type; one that is not ASCII as RFC 6533 section 3 writes it, for readers that know only ASCII."""
    if recipient.isascii():
        return b"rfc822; " + recipient
    text = recipient.decode("utf-8", "replace")
    if world:
        return b"utf-8; " + text.encode()
    # utf-8-addr-xtext: beside what is not ASCII, a backslash, + and = are written as numbers, too
    return (
        b"utf-8; "
        + "".join(c if "!" <= c <= "~" and c not in "\\+=" else f"\\x{{{ord(c):02X}}}" for c in text).encode()
    )


def status(text: bytes, *, late: bool = False) -> bytes:
    """The enhanced code (RFC 3463) of a report's text; x.0.0 if it names none.

    late  it is not a failure yet.  A failure after many attempts keeps the last one's 4.x.x.
    """
    digit, other = (b"4", b"4.0.0") if late else (b"5", b"5.0.0")
    if not late and qsbmf.GAVE_UP.strip() in text:
        digit, other = b"4", b"4.4.7"
    found: list[bytes] = _ENHANCED.findall(text)
    if not found:
        return other
    return next((code for code in found if code[:1] == digit), digit + found[0][1:])


# -- the message --------------------------------------------------------------------------


def _original(notice: Notice, world: bool) -> bytes:
    """The third part: the message, or its header."""
    original = qsbmf.return_path(notice).translate(None, b"\r\0") + notice.original
    if notice.whole:
        return _part(b"message/global" if world else b"message/rfc822", original)
    return _part(b"message/global-headers" if world else b"text/rfc822-headers", original)
