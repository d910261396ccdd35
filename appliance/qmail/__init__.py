"""qmail's commands for operators, by their own names, one file each.

They print what qmail's print and exit as qmail's do, so that scripts go on working; the state folder
is the one of $PAPERPATH_STATE, else /var/lib/paperpath.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from appliance import safeio
from appliance.command import state


def home() -> Path:
    """A folder with control/ and users/ in it: $QMAILHOME, such as /var/qmail, else the state folder."""
    return Path(os.environ.get("QMAILHOME") or state().root).resolve()


def compiled(folder: Path) -> bool:
    """Whether a folder belongs to a generation, which nobody changes."""
    return folder.resolve().parent.parent.name == "generations"


def replace(path: Path, temporary: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file anew, for everybody to read, synced before it takes the old one's place. Raises what `write` raises."""
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with open(fd, "w+b") as file:
        os.fchmod(fd, 0o644)
        write(file)
        file.flush()
        os.fsync(fd)
    temporary.replace(path)
    safeio.sync_directory(path.parent)
