"""A compiled configuration into a folder of its own, to look at or to compare."""

import shutil
from pathlib import Path

from appliance import safeio
from appliance.config.activate import write

PARTS = ("control", "mail", "secrets", "users")


class NotOurs(Exception):
    """The folder holds something that no compile wrote; nothing was changed."""


def put(files: dict[str, bytes], folder: Path) -> None:
    """Write the files; an earlier compile in the folder is replaced as a whole.

    Raises NotOurs, OSError.
    """
    if folder.exists():
        _check(folder)
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / ".new"
    if new.exists():
        shutil.rmtree(new)
    write(files, new)
    for part in PARTS:
        if (folder / part).exists():
            shutil.rmtree(folder / part)
        if (new / part).exists():
            (new / part).rename(folder / part)
    new.rmdir()
    safeio.sync_directory(folder)


def _check(folder: Path) -> None:
    """Only what a compile writes may be there: it will be deleted."""
    if not folder.is_dir() or folder.is_symlink():
        raise NotOurs(f"{folder} is not a folder")
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder).parts
        inner = inner[1:] if inner[0] == ".new" else inner  # what a crash left
        if path.is_symlink() or (inner and inner[0] not in PARTS):
            raise NotOurs(f"{folder} holds {path.relative_to(folder)}, which no compile wrote; name a new folder")
        if path.is_file() and not _compiled(inner):
            raise NotOurs(f"{folder} holds {path.relative_to(folder)}, which no compile wrote; name a new folder")


def _compiled(inner: tuple[str, ...]) -> bool:
    match inner:
        case ("control", _) | ("users", "assign" | "cdb" | "longest") | ("secrets", "passwords.cdb"):
            return True
        case ("mail", *_, name):
            return name.startswith(".qmail")
    return False
