"""Messages in an mbox: no line of one looks like the beginning of another, and taking the marks off gives it back."""

import re

import host

from appliance.message import mbox

WORDS = (b"From ", b">From ", b">>From ", b"\nFrom ", b"\n", b"From", b">", b"\r\n", b"\0")


def target(data: bytes) -> None:
    written = b"".join(mbox.quoted(host.pieces(data)))
    assert written == b"".join(mbox.quoted([data]))
    assert written.endswith(b"\n")
    assert not re.search(rb"^From ", written, re.MULTILINE)
    body = written[:-1]
    assert re.sub(rb"^>(>*From )", rb"\1", body, flags=re.MULTILINE) in (data, data + b"\n")
    line = mbox.from_line(data, len(data))
    assert line.count(b"\n") == 1
    assert len(line.split(b" ")) == 7
