"""The log as qmail writes it and multilog stamps it: lines of text for programs that read those.  Pure.

What happens to messages is told by the queue alone, in qmail-send's words (`queue/send_log.py`); everything else is a
line that those programs pass over: `warning: …`, `alert: …`, or the program, the event and its fields.
"""

import json

# events of messages that the queue tells in qmail's words, or that qmail does not know
TOLD = frozenset(
    (
        "received",
        "queued",
        "delivered",
        "forwarded",
        "deferred",
        "failed",
        "bounced",
        "notified",
        "discarded",
        "finished",
    )
)
_TAI = (1 << 62) + 10  # what TAI64 counts from, as daemontools reckons it: leap seconds are left out
_SAFE = bytes(each if 33 <= each <= 126 and each != ord("%") else ord("_") for each in range(256))
_SAFE = _SAFE[:10] + b"/" + _SAFE[11:]
_LONG = 3800  # characters of a line: it must fit a pipe at once


def stamp(now: float) -> str:
    """TAI64N: the label that multilog puts before a line, from seconds since 1970."""
    second = int(now)
    return f"@{_TAI + second:016x}{int((now - second) * 1e9):08x}"


def safe(text: bytes) -> str:
    """An address or a report in a line: LF becomes /, what is not printable, a blank or %, becomes _ (qmail's logsafe)."""
    return text.translate(_SAFE).decode("ascii")


def line(now: float, program: str, event: str, fields: str) -> str:
    """A line of the log; an empty event: `fields` is the line itself; "" if it is not for this log.

    fields  JSON, each field with a comma and a blank before it
    """
    if event in TOLD:
        return ""
    text = fields
    if event in ("warning", "trouble"):
        said = [str(value) for value in json.loads("{" + fields[2:] + "}").values()]
        text = f"{'warning' if event == 'warning' else 'alert'}: {': '.join(said)}".replace("\n", "/")
    elif event:
        text = f"{program}: {event} {{{fields[2:]}}}"
    return f"{stamp(now)} {text[:_LONG].encode('ascii', 'backslashreplace').decode()}\n"
