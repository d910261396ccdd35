"""Who is told of a failure: the sender; of a failed bounce the postmaster; of that one's failure nobody."""

from dataclasses import dataclass

from appliance.control import Generation
from appliance.message import qsbmf
from appliance.queue.schedule import mail_date

DOUBLE = b"#@[]"  # the sender of a double bounce
_VERP = b"-@[]"


@dataclass(frozen=True, slots=True)
class Bounce:
    """A bounce to be queued."""

    sender: bytes
    recipient: bytes
    content: bytes


def addressee(sender: bytes, generation: Generation) -> tuple[bytes, bytes] | None:
    """Sender and recipient of the bounce for a message from `sender`; None if nobody can be told."""
    if sender == DOUBLE:
        return None
    if not sender:
        host = generation.line("doublebouncehost", generation.me)
        return DOUBLE, generation.line("doublebounceto", b"postmaster") + b"@" + host
    if sender.endswith(_VERP):  # list-@host-@[] stands for list-@host: the name of each recipient was in between
        plain = sender[: -len(_VERP)]
        if b"@" in plain:
            return b"", plain
    return b"", sender


def compose(
    sender: bytes, failures: list[bytes], original: bytes, whole: bool, generation: Generation, now: float
) -> Bounce | None:
    """The bounce of a message; None for the failure of a double bounce."""
    ends = addressee(sender, generation)
    if ends is None:
        return None
    host = generation.line("bouncehost", generation.me)
    content = qsbmf.bounce(
        date=mail_date(now),
        sender=generation.line("bouncefrom", b"MAILER-DAEMON") + b"@" + host,
        host=host,
        recipient=ends[1],
        failures=failures,
        returned_to=sender,
        original=original,
        whole=whole,
    )
    return Bounce(*ends, content)
