"""Bounces in qmail's format (QSBMF, http://cr.yp.to/proto/qsbmf.txt): texts that programs can read.  Pure."""

import re

from appliance import address
from appliance.message.notice import Notice

TEXT_ROOM = 256 * 1024  # bytes of paragraphs with full texts; after that only the first two lines of each
WHOLE = 25  # paragraphs that may be kept whole, for that is what they fill at most
ROOM = 2 * 1024 * 1024  # bytes of paragraphs at all
HEADER = 64 * 1024  # bytes of a header that goes back
GAVE_UP = b"I'm not going to try again; this message has been in the queue too long.\n"
_SHORT = 200
_SECOND = re.compile(rb"(?<=\n)\n")  # a line end that follows one


def paragraph(recipient: bytes, text: bytes) -> bytes:
    """One failed recipient: `<address>:`, what happened, an empty line.

    No empty line may stand inside it, for that is where the next paragraph begins.
    """
    body = _SECOND.sub(b"/", b"\n" + text.rstrip(b"\n"))[1:]
    return b"<" + address.one_line(recipient) + b">:\n" + body + (b"\n\n" if body else b"\n")


def apart(written: bytes) -> tuple[bytes, bytes]:
    """A paragraph's recipient and text."""
    head, _, text = written.partition(b">:\n")
    return head[1:], text.rstrip(b"\n")


def short(written: bytes) -> bytes:
    """What matters of a paragraph: the address, what happened, what the remote host said, of each the beginning."""
    lines = written.split(b"\n")
    return lines[0] + b"\n" + b"".join(line[:_SHORT] + b"\n" for line in lines[1:3] if line) + b"\n"


def shortened(paragraphs: list[bytes]) -> list[bytes]:
    """All of them, cut when they would fill the queue."""
    out: list[bytes] = []
    used = 0
    for number, text in enumerate(paragraphs):
        if used + len(text) > TEXT_ROOM:
            text = short(text)  # noqa: PLW2901  # the same, shorter
        if used + len(text) > ROOM:
            left = len(paragraphs) - number
            out.append(b"<>:\n%d more recipients; the log of this host names them.\n\n" % left)
            break
        used += len(text)
        out.append(text)
    return out


def introduction(notice: Notice) -> bytes:
    """The words before the paragraphs; programs know a bounce by how they begin."""
    hello = b"Hi. This is the paperpath program at " + notice.host + b".\n"
    if notice.returned_to:
        return hello + (
            b"Your message could not be delivered to the addresses below.\n"
            b"The failure is permanent: no further attempt will be made.\n\n"
        )
    return hello + b"I had a bounce message to send, and it could not be delivered either.\n\n"


def bounce(notice: Notice) -> bytes:
    """The content of a bounce."""
    what = b"a copy of the message" if notice.returned_to else b"the original bounce"
    if not notice.whole:
        what = b"the header of the " + (b"message" if notice.returned_to else b"original bounce")
        what += b" (it is too large to be returned whole)"
    return b"".join(
        (
            b"Date: " + notice.date + b"\n",
            b"From: " + address.quote(notice.sender) + b"\n",
            b"To: " + address.one_line(address.quote(notice.recipient)) + b"\n",
            b"Subject: failure notice\n\n",
            introduction(notice),
            *shortened(notice.paragraphs),
            b"--- Below this line is " + what + b".\n\n",
            return_path(notice),
            notice.original,
        )
    )


def return_path(notice: Notice) -> bytes:
    """The line that comes before the original."""
    return b"Return-Path: <" + address.one_line(address.quote(notice.returned_to)) + b">\n"


def header(content: bytes) -> bytes:
    """The header of a message, with the empty line that ends it."""
    end = content.find(b"\n\n")
    return content if end < 0 else content[: end + 2]
