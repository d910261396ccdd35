"""What can go wrong with a mail, in three results and one error type.

    MailError            carries code, enhanced code, public text, private cause
    ├── Temporary        try later (4xx, Z): also every failure nobody foresaw
    └── Permanent        give up (5xx, D)

The peer sees `text`; the log sees `cause`.  An internal bug must never become a
permanent error, for the sender would lose a mail that a fixed program delivers.
"""

from enum import StrEnum


class Result(StrEnum):
    """The three results of a delivery attempt, by qmail's letters."""

    DONE = "K"
    TEMPORARY = "Z"
    PERMANENT = "D"


class MailError(Exception):
    """A refusal that a peer is told about.

    code      SMTP reply code (RFC 5321 section 4.2), 4xx or 5xx
    enhanced  enhanced status code (RFC 3463), such as "5.1.1"
    text      one line for the peer, ASCII, without code
    cause     what the log says beyond that; never shown to a peer
    """

    result = Result.TEMPORARY

    def __init__(self, code: int, enhanced: str, text: str, cause: object = None) -> None:
        super().__init__(f"{code} {enhanced} {text}" + (f" ({cause})" if cause is not None else ""))
        self.code = code
        self.enhanced = enhanced
        self.text = text
        self.cause = cause

    @property
    def reply(self) -> bytes:
        """The SMTP reply line, with its CRLF."""
        return f"{self.code} {self.enhanced} {self.text}\r\n".encode("ascii", "replace")


class Temporary(MailError):
    """Try again later."""

    result = Result.TEMPORARY


class Permanent(MailError):
    """Trying again would not help."""

    result = Result.PERMANENT


def internal(cause: object) -> Temporary:
    """A failure nobody foresaw: generic and temporary for the peer, in full for the log."""
    return Temporary(451, "4.3.0", "internal error, try again later", cause)
