"""The environment of a program, as qmail-local gives it.  Pure.

Values come from the envelope, so from strangers, and are not quoted: a shell line says "$SENDER" with its quotes.
"""

from dataclasses import dataclass

from appliance.local.plan import return_path
from appliance.message import mbox


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Of one delivery.

    sender      as the recipient sees it (VERP expanded)
    new_sender  for what is forwarded
    recipient   the local address
    user, home, ext  of the assignment
    default     what the `default` of the dot-qmail file's name stood for; None: its name has none
    now         seconds since 1970
    """

    sender: bytes
    new_sender: bytes
    recipient: bytes
    user: bytes
    home: bytes
    ext: bytes
    default: bytes | None
    delivered_to: bytes
    now: float


def environment(at: Circumstances) -> tuple[bytes, ...]:
    """NAME=value of each variable."""
    local, _, host = at.recipient.rpartition(b"@")
    pairs = {
        b"SENDER": at.sender,
        b"NEWSENDER": at.new_sender,
        b"RECIPIENT": at.recipient,
        b"LOCAL": local,
        b"HOST": host,
        b"USER": at.user,
        b"HOME": at.home,
        b"EXT": at.ext,
        b"DTLINE": at.delivered_to,
        b"RPLINE": return_path(at.sender),
        b"UFLINE": mbox.from_line(at.sender, at.now),
    }
    ext = at.ext
    for name in (b"EXT2", b"EXT3", b"EXT4"):
        pairs[name] = ext = ext.partition(b"-")[2]
    for name in (b"HOST2", b"HOST3", b"HOST4"):
        pairs[name] = host = host.rpartition(b".")[0] if b"." in host else host
    if at.default is not None:
        pairs[b"DEFAULT"] = at.default
    return tuple(name + b"=" + value for name, value in pairs.items())
