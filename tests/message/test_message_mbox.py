"""The mbox format, byte by byte."""

import random
import re

import pytest

from appliance.message.mbox import from_line, quoted


@pytest.mark.parametrize(
    ("sender", "when", "line"),
    [
        (b"joe@a.example", 0, b"From joe@a.example Thu Jan 01 00:00:00 1970\n"),
        (b"", 1_700_000_000, b"From MAILER-DAEMON Tue Nov 14 22:13:20 2023\n"),
        (b"a b\tc\nd@x", 86400 * 59, b"From a-b-c-d@x Sun Mar 01 00:00:00 1970\n"),
    ],
)
def test_trap_13_the_from_line_is_in_gmt_with_a_padded_day(sender: bytes, when: int, line: bytes) -> None:
    """Unlike asctime; blanks in the sender become hyphens, no sender is the mailer's."""
    assert from_line(sender, when) == line


@pytest.mark.parametrize(
    ("message", "stored", "rule"),
    [
        (b"A: b\n\nFrom here\n", b"A: b\n\n>From here\n\n", "a line that looks like the next message"),
        (b"From x\n\nbody\n", b">From x\n\nbody\n\n", "the header's lines too"),
        (b"\n>From x\n>>From y\n", b"\n>>From x\n>>>From y\n\n", "those quoted before: so it can be undone"),
        (b"\nFromage\n From x\nfrom y\n", b"\nFromage\n From x\nfrom y\n\n", "nothing else"),
        (b"\nno line end", b"\nno line end\n\n", "a last line without an end gets one"),
        (b"\nFrom", b"\nFrom\n\n", "a message that ends in the middle of the word"),
        (b"", b"\n", "an empty message is an empty line"),
    ],
)
def test_trap_13_quoting(message: bytes, stored: bytes, rule: str) -> None:
    """Each line matching `^>*From ` gets one `>` more; the message ends with an empty line."""
    assert b"".join(quoted([message])) == stored, rule


def test_chunks_make_no_difference() -> None:
    """A message that comes in pieces is stored as if it had come whole."""
    choose = random.Random(13)
    words = [b"F", b"From", b"From ", b">", b"\n", b"x", b"ro", b"m ", b"\n\n", b"om"]
    for _ in range(5000):
        message = b"".join(choose.choices(words, k=choose.randrange(12)))
        cuts = sorted(choose.randrange(len(message) + 1) for _ in range(4))
        pieces = [message[start:end] for start, end in zip([0, *cuts], [*cuts, len(message)], strict=True)]
        whole = re.sub(rb"(?m)^(>*From )", rb">\1", message)
        assert b"".join(quoted(pieces)) == whole + (b"\n" if whole[-1:] in (b"\n", b"") else b"\n\n")
