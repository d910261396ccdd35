"""Files that a configuration includes: users/assign beside the YAML."""

import dataclasses
import os
import stat
from pathlib import Path

from appliance.config import user_rules
from appliance.config.model import Configuration
from appliance.config.problem import Finding

_LARGEST = 512 * 1024 * 1024  # bytes; a million users take 80 MiB


def users(configuration: Configuration, folder: Path | None) -> tuple[Configuration, list[Finding]]:
    """The configuration with the lines of its users/assign, and what is wrong with them: then it has none.

    folder: of the YAML.
    """
    given, found = configuration.users, []
    if given.file is not None:
        try:
            given = dataclasses.replace(given, assign=_lines(folder, given.file))
        except OSError as error:
            found.append(Finding(("users", "assign"), f"{given.file} can't be read: {error.strerror or error}"))
    found += user_rules.assign(given)
    given = dataclasses.replace(given, assign=()) if found else given
    return dataclasses.replace(configuration, users=given), found


def _lines(folder: Path | None, name: str) -> tuple[bytes, ...]:
    if folder is None:
        raise OSError("there is no folder to look in")
    # not blocking: somebody may have put a FIFO there
    fd = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no file")
        if status.st_size > _LARGEST:
            raise OSError("it is larger than 512 MiB")
        found: list[bytes] = []
        with open(fd, "rb", closefd=False) as file:
            for line in file:
                if line[:1] == b".":
                    return tuple(found)
                found.append(line.removesuffix(b"\n"))
    finally:
        os.close(fd)
    raise OSError("the line with the single dot at its end is missing: it may have been cut")
