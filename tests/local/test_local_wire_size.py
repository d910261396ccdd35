"""Names that tell how large a message is on the wire, for those who fetch by POP3."""

import os
from pathlib import Path

import pytest

from appliance.local.content import Content
from appliance.local.disk import Disk
from appliance.local.maildir import Attempt, Letter, Maildirs
from appliance.pop3d import wire

HEAD = b"Return-Path: <a@b.example>\nDelivered-To: x\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"Subject: x\n\n.dot\n", True),
        (b"Subject: x\n\nno line end", False),  # what comes of that is for the reader to say
        (b"Subject: x\r\n\r\nCRLF\r\n", False),
        (b"", False),
    ],
)
def test_a_name_tells_the_wire_size_or_nothing(tmp_path: Path, data: bytes, told: bool) -> None:
    """`,W=n` is what POP3 sends, dots and the last line left out; where a look does not tell, the name does not."""
    disk = Disk(os.fsencode(tmp_path), whole=False)
    maildirs = Maildirs(os.fsencode(tmp_path), disk)
    maildirs.sizes = True
    folder = tmp_path / "Maildir"
    maildirs.deliver([Letter(os.fsencode(folder), HEAD, Content(data, len(data)), Attempt())])
    disk.close()
    (name,) = os.listdir(folder / "new")
    assert name.partition(",W=")[2] == (str(wire.size([HEAD + data])) if told else "")
