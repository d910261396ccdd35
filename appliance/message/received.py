"""The trace header that every message from the network gets (RFC 5321 section 4.4), in qmail's form.  Pure.

    Received: from unknown (HELO client.example) (192.0.2.1)
      by mx.example.org with ESMTP; 22 Nov 2026 13:00:00 -0000

`unknown` is the client's name by reverse DNS, which nobody looks up.
"""

from functools import lru_cache

from appliance.message.date import mail_date

_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@%+/=:-[]"
_TO_SAFE = bytes(byte if byte in _SAFE else 0x3F for byte in range(256))
_date = lru_cache(maxsize=4)(mail_date)  # there may be thousands of messages in a second


def header(helo: bytes, address: bytes, me: bytes, protocol: bytes, now: int) -> bytes:
    """The header for a message taken at `now`; protocol is SMTP or ESMTP (RFC 3848), QMTP or QMQP, which have no HELO."""
    return b"Received: from unknown%b (%b)\n  by %b with %b; %b\n" % (
        b" (HELO %b)" % helo.translate(_TO_SAFE) if helo else b"",
        address.translate(_TO_SAFE),
        me,
        protocol,
        _date(now),
    )
