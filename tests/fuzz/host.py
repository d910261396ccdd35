"""A small host for targets that need one: its files in a folder that goes when the process ends."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from appliance import log, users
from appliance.control import Generation

ASSIGN = b"=here:here:7:7:mail/here:::\n+list-:list:7:7:mail/list:-::\n=here.example-alice:a:7:7:mail/a:::\n.\n"
CONTROL = {
    "me": b"mx.here.example\n",
    "locals": b"mx.here.example\n",
    "virtualdomains": b"here.example:here.example\n.wild.here.example:list\n",
    "rcpthosts": b"mx.here.example\nhere.example\n.wild.here.example\n",
    "badmailfrom": b"@bad.example\n",
    "databytes": b"3000\n",
    "maxhops": b"5\n",
    "maxrecipients": b"4\n",
    "percenthack": b"here.example\n",
}


class Given(Generation):
    """Control files that are nowhere on a disk."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(Path("/nonexistent/generations/none"))
        self._files = dict(files)


def silent() -> None:
    """The log goes nowhere."""
    log.setup("fuzz", fd=os.open(os.devnull, os.O_WRONLY))


@cache
def generation() -> Generation:
    """The host's files."""
    silent()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for sub in ("control", "users", "mail/list"):
        (folder / sub).mkdir(parents=True)
    for name, text in CONTROL.items():
        (folder / "control" / name).write_bytes(text)
    (folder / "users" / "cdb").write_bytes(users.build(ASSIGN))
    (folder / "mail/list/.qmail-default").write_bytes(b"&alice@here.example\n")
    return Generation(folder)


def pieces(data: bytes) -> list[bytes]:
    """Some way to cut bytes, told by the bytes themselves."""
    step = data[0] % 23 + 1 if data else 1
    return [data[start : start + step] for start in range(0, len(data), step)]
