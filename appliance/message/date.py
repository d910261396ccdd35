"""Dates as they stand in mail (RFC 5322 section 3.3), in qmail's form: no weekday, the day not padded.  Pure.

The names are our own: those of strftime are the locale's.
"""

import time

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day_and_time(t: time.struct_time) -> bytes:
    """Without a zone: 22 Nov 2026 13:00:00."""
    return b"%d %b %d %02d:%02d:%02d" % (t.tm_mday, MONTHS[t.tm_mon - 1].encode(), t.tm_year, *t[3:6])


def mail_date(when: float) -> bytes:
    """The date of a time in seconds since 1970, in GMT."""
    return day_and_time(time.gmtime(when)) + b" -0000"


def local_date(when: float) -> bytes:
    """The same in the zone of $TZ."""
    t = time.localtime(when)
    sign, minutes = (b"-", -t.tm_gmtoff // 60) if t.tm_gmtoff < 0 else (b"+", t.tm_gmtoff // 60)
    return b"%b %b%02d%02d" % (day_and_time(t), sign, minutes // 60, minutes % 60)
