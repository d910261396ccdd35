"""The mbox format: how messages stand one behind the other in a file, and are told apart again (mboxrd).  Pure."""

import re
import time
from collections.abc import Iterable, Iterator

from appliance.message.date import DAYS, MONTHS

_FROM = re.compile(rb"^(>*)From ", re.MULTILINE)
_MAYBE = re.compile(rb">*(F(?:r(?:om?)?)?)?\Z")  # the beginning of a line that may yet become one
_BLANKS = bytes.maketrans(b" \t\n\r", b"----")


def from_line(sender: bytes, when: float) -> bytes:
    """The line before a message: who sent it and when it was delivered, in GMT, the day with two digits.

    UFLINE of a dot-qmail program. Source: the mbox page of qmail; asctime pads the day with a blank instead.
    """
    t = time.gmtime(when)
    date = f"{DAYS[t.tm_wday]} {MONTHS[t.tm_mon - 1]} {t.tm_mday:02} {time.strftime('%H:%M:%S', t)} {t.tm_year}"
    return b"From " + (sender.translate(_BLANKS) or b"MAILER-DAEMON") + b" " + date.encode() + b"\n"


def quoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A message as it stands in an mbox: `>` before each `>*From `, a line end and an empty line after it.

    Lines may have any length; at most four bytes of one are kept for the next chunk.
    """
    kept = b""  # F, Fr, Fro, From
    opening = True  # of the line at hand only `>` have come, if anything
    ended = True
    for chunk in chunks:
        data = kept + chunk
        first = 0 if opening else data.find(b"\n") + 1  # where a line begins
        if first or opening:
            maybe = _MAYBE.match(data, max(first, data.rfind(b"\n") + 1))
            opening = maybe is not None
            kept = (maybe[1] or b"") if maybe else b""
            data = data[:first] + _FROM.sub(rb"\1>From ", data[first : len(data) - len(kept)])
        if data:
            ended = data.endswith(b"\n")
            yield data
    if kept:
        ended = False
        yield kept
    yield b"\n" if ended else b"\n\n"
