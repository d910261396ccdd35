"""Times and sizes as a configuration writes them.  Pure; ValueError completes "found 'x'; …"."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MEASURE = re.compile(r"([0-9]{1,12})([A-Za-z]+)\Z")


def duration(text: str) -> int:
    """Seconds."""
    found = _MEASURE.match(text)
    if not found or found[2] not in _SECONDS:
        raise ValueError("a duration is a number and s, m, h, d or w, such as 20m or 7d")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if not 1 <= seconds <= 10 * 365 * 86400:
        raise ValueError("a duration is at least 1s and at most ten years")
    return seconds


def size(text: str) -> int:
    """Bytes."""
    found = _MEASURE.match(text)
    if not found or found[2] not in _BYTES:
        raise ValueError("a size is a number and B, kB, MB, GB, KiB, MiB or GiB, such as 50MiB")
    return int(found[1]) * _BYTES[found[2]]


def message_size(text: str) -> int:
    """Bytes, at least what RFC 5321 section 4.5.3.1.7 asks every host to take."""
    number = size(text)
    if not 65536 <= number <= 1 << 31:
        raise ValueError("a message size is at least 64KiB (RFC 5321) and at most 2GiB")
    return number


def queue_size(text: str) -> int:
    """Bytes of disk, at least what a few messages need."""
    number = size(text)
    if not 1 << 20 <= number <= 1 << 50:
        raise ValueError("a part of a disk is at least 1MiB and at most 1048576GiB")
    return number


def returned_size(text: str) -> int:
    """Bytes of a message that goes back whole: what fits a row of the queue, at most."""
    number = size(text)
    if number > 128 << 10:
        raise ValueError("a message of at most 128KiB goes back whole")
    return number


def program_size(text: str) -> int:
    """Bytes that a program may use of something: enough for a shell, and never by mistake without an end."""
    number = size(text)
    if not 16 << 20 <= number <= 1 << 40:
        raise ValueError("a program needs at least 16MiB, and 1024GiB is the most")
    return number


def report_time(text: str) -> int:
    """Seconds; 0 for `end`."""
    return 0 if text == "end" else duration(text)


def notice_time(text: str) -> int:
    """Seconds; 0 for `never`."""
    return 0 if text == "never" else duration(text)
