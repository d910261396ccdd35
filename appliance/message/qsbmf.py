"""Bounces in qmail's format (QSBMF, http://cr.yp.to/proto/qsbmf.txt): texts that programs can read.  Pure."""

from appliance import address

TEXT_ROOM = 256 * 1024  # bytes of paragraphs with full texts; after that only the first two lines of each
ROOM = 4 * 1024 * 1024  # bytes of paragraphs at all
_SHORT = 200


def paragraph(recipient: bytes, text: bytes) -> bytes:
    """One failed recipient: `<address>:`, what happened, an empty line.

    No empty line may stand inside it, for that is where the next paragraph begins.
    """
    body = text.strip(b"\n")
    while b"\n\n" in body:
        body = body.replace(b"\n\n", b"\n/")
    return b"<" + address.one_line(recipient) + b">:\n" + body + (b"\n\n" if body else b"\n")


def _paragraphs(failures: list[bytes]) -> bytes:
    """All of them, shortened when they would fill the queue."""
    out: list[bytes] = []
    used = 0
    for number, failure in enumerate(failures):
        text = failure
        if used + len(text) > TEXT_ROOM:
            lines = text.split(b"\n")  # the address, what happened, what the remote host said
            text = b"\n".join(line[:_SHORT] for line in lines[:3]).rstrip(b"\n") + b"\n\n"
        if used + len(text) > ROOM:
            out.append(
                b"<>:\n%d more recipients failed; the log of this host names them.\n\n" % (len(failures) - number)
            )
            break
        used += len(text)
        out.append(text)
    return b"".join(out)


def bounce(
    *,
    date: bytes,
    sender: bytes,
    host: bytes,
    recipient: bytes,
    failures: list[bytes],
    returned_to: bytes,
    original: bytes,
    whole: bool,
) -> bytes:
    """The content of a bounce.

    sender       From address, such as MAILER-DAEMON@host
    host         the host's name in the text
    recipient    who is told: the sender of the message, or the postmaster for a double bounce
    returned_to  the sender of the message that failed; empty if it was a bounce itself
    original     its content, or (not whole) its header
    """
    if returned_to:
        intro = (
            b"Hi. This is the paperpath program at " + host + b".\n"
            b"Your message could not be delivered to the addresses below.\n"
            b"The failure is permanent: no further attempt will be made.\n\n"
        )
        what = b"a copy of the message" if whole else b"the header of the message"
    else:
        intro = (
            b"Hi. This is the paperpath program at " + host + b".\n"
            b"I had a bounce message to send, and it could not be delivered either.\n\n"
        )
        what = b"the original bounce" if whole else b"the header of the original bounce"
    note = b"" if whole else b" (it is too large to be returned whole)"
    return b"".join(
        (
            b"Date: " + date + b"\n",
            b"From: " + address.quote(sender) + b"\n",
            b"To: " + address.one_line(address.quote(recipient)) + b"\n",
            b"Subject: failure notice\n\n",
            intro,
            _paragraphs(failures),
            b"--- Below this line is " + what + note + b".\n\n",
            b"Return-Path: <" + address.one_line(address.quote(returned_to)) + b">\n",
            original,
        )
    )


def header(content: bytes) -> bytes:
    """The header of a message, with the empty line that ends it."""
    end = content.find(b"\n\n")
    return content if end < 0 else content[: end + 2]
