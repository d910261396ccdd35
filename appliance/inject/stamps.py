"""The fields that qmail-inject adds where they are missing.  Pure: time and process id are given."""

import time
from typing import NamedTuple

from appliance.inject.settings import Settings
from appliance.message.address_list import COMMENT, QUOTED, Address, Part, write
from appliance.message.date import mail_date
from appliance.message.rewriting import raw, rewrite, words

_NOBODY = b"recipient list not shown: ;"


class Moment(NamedTuple):
    """When this runs, in seconds since 1970, and as which process."""

    seconds: int
    process: int


def message_id(moment: Moment, host: bytes) -> bytes:
    """A name that no other message has, with its < and >."""
    t = time.gmtime(moment.seconds)
    return b"<%04d%02d%02d%02d%02d%02d.%d.qmail@%b>" % (*t[:6], moment.process, host)


def author(settings: Settings) -> bytes:
    """The value of From for who writes: `"Joe" <joe@host>`, or `joe@host (Joe)` with the letter c."""
    user, host = words(settings.user), settings.host
    address = rewrite(user if host is None else Address([*user, *raw(b"@" + host)]), settings.hosts)
    if settings.name is None:
        return write([address], 0)
    name = settings.name.translate(bytes(32 if byte in b"\0\r\n" else byte for byte in range(256)))
    if "c" in settings.letters:
        for special in (b"\\", b"(", b")"):
            name = name.replace(special, b"\\" + special)
        return write([address, (COMMENT, name)], 0)
    parts: list[Part] = [(QUOTED, name), ("<", b"<"), address, (">", b">")]
    return write(parts, 0)


def missing(names: set[bytes], resent: bool, settings: Settings, moment: Moment) -> list[bytes]:
    """The fields to add, in order, to a header that has these (names in lower case)."""
    prefix = b"Resent-" if resent else b""
    new = []
    for name, value in (
        (b"Date", mail_date(moment.seconds)),
        (b"Message-ID", message_id(moment, settings.id_host)),
        (b"From", author(settings)),
    ):
        if (prefix + name).lower() not in names:
            new.append(prefix + name + b": " + value + b"\n")
    if not names & {(prefix + b"to").lower(), (prefix + b"cc").lower()}:
        new.append(prefix + b"Cc: " + _NOBODY + b"\n")
    return new


def followup(public: list[bytes], lists: frozenset[bytes]) -> list[bytes]:
    """Mail-Followup-To for a message to one of the lists: answers go to all of To and Cc, not to the writer twice."""
    if not any(address.lower() in lists for address in public):
        return []
    return [b"Mail-Followup-To: " + b",\n  ".join(public) + b"\n"]
