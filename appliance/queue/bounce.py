"""Who is told of a failure, when and how: the sender; of a failed bounce the postmaster; of that one's failure nobody."""

from dataclasses import dataclass, replace

from appliance import log
from appliance.address import is_verp
from appliance.control import Generation
from appliance.message import dsn, qsbmf
from appliance.message.date import mail_date
from appliance.message.notice import Notice
from appliance.queue.schedule import LIFETIME

DOUBLE = b"#@[]"  # the sender of a double bounce
PATIENCE = 14400  # seconds after which a failure is reported, and a delay, unless control/bounces says otherwise
RETURNED = 128 * 1024  # bytes of a message that goes back whole
_VERP = b"-@[]"


@dataclass(frozen=True, slots=True)
class About:
    """The message that a notice is about: original is its content, or what there is of its header (not whole)."""

    sender: bytes
    born: float
    original: bytes
    whole: bool


class Bounces:
    """The rules of one generation.

    report_after  seconds after which a failure is reported although others still wait; 0: at the message's end
    delay_notice  seconds after which a sender is told that mail still waits; 0: never
    """

    def __init__(self, generation: Generation) -> None:
        found = generation.mapping("bounces")

        def number(name: bytes, default: int) -> int:
            value = found.get(name, b"")
            return int(value) if value.isdigit() else default

        self.report_after = number(b"reportafter", PATIENCE)
        self.delay_notice = number(b"delaynotice", PATIENCE)
        self._return_size = number(b"returnsize", RETURNED)
        self._write = qsbmf.bounce if found.get(b"format") == b"qmail" else dsn.write
        self._lifetime = generation.integer("queuelifetime", LIFETIME)
        self._host = generation.line("bouncehost", generation.me)
        self._from = generation.line("bouncefrom", b"MAILER-DAEMON") + b"@" + self._host
        self._postmaster = (
            generation.line("doublebounceto", b"postmaster")
            + b"@"
            + generation.line("doublebouncehost", generation.me)
        )  # fmt: skip

    def addressee(self, sender: bytes) -> tuple[bytes, bytes] | None:
        """Sender and recipient of the bounce for a message from `sender`; None if nobody can be told."""
        if sender == DOUBLE:
            return None
        if not sender:
            return DOUBLE, self._postmaster
        if is_verp(sender):  # list-@host-@[] stands for list-@host: the name of each recipient was in between
            return b"", sender[: -len(_VERP)]
        return b"", sender

    def to_postmaster(self) -> tuple[bytes, bytes, bytes]:
        """Sender, recipient and From address of what only the postmaster is told: as a double bounce."""
        return DOUBLE, self._postmaster, self._from

    def failure(self, name: str, about: About, paragraphs: list[bytes], now: float) -> bytes:
        """The content of a bounce.  Whatever the message does to us, its sender is told."""
        notice = self._notice(name, about, paragraphs, now)
        try:
            return self._write(notice)
        except Exception as defect:  # noqa: BLE001  # else the message would never end
            log.trouble("queue: a bounce can't be written, a plain one goes without the message", repr(defect))
            return qsbmf.bounce(replace(notice, original=b"", whole=False))

    def delay(self, name: str, about: About, paragraphs: list[bytes], now: float) -> bytes:
        """The content of a delay notice: never in qmail's format, which knows failures only."""
        until = mail_date(about.born + self._lifetime)
        return dsn.write(self._notice(name, about, paragraphs, now, until))

    def _notice(self, name: str, about: About, paragraphs: list[bytes], now: float, until: bytes = b"") -> Notice:
        ends = self.addressee(about.sender)
        assert ends is not None  # asked before
        whole = about.whole and not until and len(about.original) <= self._return_size
        return Notice(
            name=name,
            date=mail_date(now),
            sender=self._from,
            host=self._host,
            recipient=ends[1],
            paragraphs=paragraphs,
            returned_to=about.sender,
            arrived=mail_date(about.born),
            until=until,
            original=about.original if whole else qsbmf.header(about.original)[: qsbmf.HEADER],
            whole=whole,
        )
