"""What somebody is told about mail that could not be delivered, or not yet; `qsbmf` and `dsn` write it down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice.

    name         its id in the queue
    date         of it, as it stands in a Date line
    sender       From address, such as MAILER-DAEMON@host
    host         the host's name in the text
    recipient    who is told: the sender of the message, or the postmaster for a double bounce
    paragraphs   one a recipient, by `qsbmf.paragraph`
    returned_to  the sender of the message; empty if that was a bounce itself
    arrived      when the message was accepted
    until        b"": its delivery has failed for good; else it is late, and will be tried until then
    original     its content, or (not whole) its header
    """

    name: str
    date: bytes
    sender: bytes
    host: bytes
    recipient: bytes
    paragraphs: list[bytes]
    returned_to: bytes
    arrived: bytes
    until: bytes = b""
    original: bytes
    whole: bool
