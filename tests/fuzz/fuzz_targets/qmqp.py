"""A client's bytes to qmqpd: one answer for a whole request, whatever is in it."""

from fuzz_targets import qmtp

WORDS = (
    b"3:abc,",
    b"0:,",
    b"11:s@a.example,",
    b"11:r@b.example,",
    b":",
    b",",
    b"\0",
    b"x" * 1000,
    b"Received: x\n" * 5,
    b"38:",
)


def target(data: bytes) -> None:
    qmtp.target(data, b"QMQP")
    # whole requests are rare among random bytes: the same as the inside of one
    qmtp.target(b"%d:%b," % (len(data), data), b"QMQP")
