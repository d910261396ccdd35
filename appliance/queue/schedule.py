"""When the next attempt is made, and when the queue gives up.  Pure."""

import time
from math import isqrt

from appliance.queue.store import NEVER

LIFETIME = 604800  # seconds, if control/queuelifetime is missing
_PATIENCE = (10, 20)  # by channel: local mailboxes come back sooner than other hosts


def next_attempt(born: float, started: float, channel: int) -> float:
    """The quadratic schedule of qmail, from the age at the attempt's start (guarantee 7)."""
    born = min(born, started)  # the clock was ahead once, and ids stay ahead with it: mail does not wait for that
    age = int(started - born)
    return born + (isqrt(age) + _PATIENCE[channel]) ** 2


def longest(lifetime: int) -> float:
    """Seconds between two attempts at most: what waits longer was put off by a clock that was ahead."""
    return float((isqrt(lifetime) + max(_PATIENCE)) ** 2 - isqrt(lifetime) ** 2)


def expired(born: float, started: float, lifetime: int) -> bool:
    """Whether an attempt that starts now is the last one."""
    return started > born + lifetime


def timestamp(when: float) -> str:
    """RFC 3339, UTC, seconds; when a held delivery is tried, nobody knows."""
    if when == NEVER:
        return "held"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
