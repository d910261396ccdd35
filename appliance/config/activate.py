"""A generation into the state folder, so that at every instant the old one is in force, or the new one.

Its `secrets/` is a folder of its own, `STATE/secrets/<hash>`, there before the rest and gone after it: programs that
need no passwords may read the generations and not those.  All files and folders are written and synced under a name of no meaning, renamed to the
generation's hash, and then one link is swapped.  Whatever a crash leaves is removed by the
next activation.
"""

import os
import shutil
import time
from itertools import pairwise
from pathlib import Path

from appliance import safeio
from appliance.config.generation import generation_name
from appliance.state import State

KEEP = 5  # generations, the newest
_YOUNG = 3600  # seconds: a session that began under a generation may still read it
_UNFINISHED = ".new-"
_APART = "secrets/"


def activate(files: dict[str, bytes], state: State) -> tuple[str, str | None]:
    """Put a generation in force; its hash and the hash of the one before.

    The same hash twice means that nothing changed. Raises OSError; then the old one stays in force.
    """
    name = generation_name(files)
    previous = active(state)
    _make(state.generations)
    _remove_unfinished(state)
    secret = {path: data for path, data in files.items() if path.startswith(_APART)}
    folders = (
        {state.secrets / name: {path.removeprefix(_APART): data for path, data in secret.items()}} if secret else {}
    )
    folders[state.generations / name] = {path: data for path, data in files.items() if path not in secret}
    for folder, parts in folders.items():
        if not _intact(folder, parts):
            _write(parts, folder, secret=folder.parent == state.secrets)
    if previous != name:
        safeio.replace_link(state.generation, name)
    for link in ("control", "users"):
        link_for_people(state, link)
    _retire(state, name, previous)
    return name, previous


def link_for_people(state: State, name: str) -> None:
    """STATE/control and STATE/users, for people and qmail's tools. Raises OSError."""
    target = f"{state.generation.relative_to(state.root)}/{name}"
    if not _leads(state.root / name, target):
        safeio.replace_link(state.root / name, target)


def active(state: State) -> str | None:
    """The hash of the generation in force, or None. Raises OSError."""
    try:
        return Path(os.readlink(state.generation)).name
    except FileNotFoundError:
        return None


def _leads(link: Path, target: str) -> bool:
    return link.is_symlink() and os.readlink(link) == target


def _intact(folder: Path, files: dict[str, bytes]) -> bool:
    """A generation never changes; one that somebody changed is written again."""
    if not folder.is_dir():
        return False
    try:
        return read(folder) == files
    except OSError:
        return False


def read(folder: Path) -> dict[str, bytes]:
    """All files below a folder by path. Raises OSError."""
    found: dict[str, bytes] = {}
    for parent, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = Path(parent, name)
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def _raise(error: OSError) -> None:
    raise error


def _make(folder: Path) -> None:
    """A folder that lasts; one that is there is left alone, for the watcher's sandbox lets it in, but not into the one above."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        safeio.sync_directory(folder.parent)


def _write(files: dict[str, bytes], folder: Path, *, secret: bool) -> None:
    new = folder.with_name(_UNFINISHED + folder.name)
    _make(folder.parent)
    write(files, new, secret=secret)
    if folder.exists():  # damaged: out of the way, and gone with the next activation at the latest
        folder.rename(folder.with_name(f"{_UNFINISHED}damaged-{folder.name}"))
    new.rename(folder)
    safeio.sync_directory(folder.parent)


def write(files: dict[str, bytes], folder: Path, *, secret: bool = False) -> None:
    """Write files into a new folder, they and all folders synced; what is secret for the owner only. Raises OSError."""
    folders = {folder}
    folder.mkdir()
    for path, data in files.items():
        file = folder / path
        if file.parent not in folders:
            file.parent.mkdir(parents=True, exist_ok=True)
            folders.update(parent for parent in file.parents if parent.is_relative_to(folder))
        mode = 0o640 if secret and safeio.is_shared(folder) else 0o600 if secret or path.startswith(_APART) else 0o644
        safeio.write_file(file, [data], mode=mode)
    for each in sorted(folders, reverse=True):
        safeio.sync_directory(each)


def _remove_unfinished(state: State) -> None:
    for parent in (state.generations, state.secrets):
        for leftover in parent.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)


def _retire(state: State, name: str, previous: str | None) -> None:
    """Remove old generations: all but the newest few, and not before sessions that read them have ended."""
    long_ago = time.time() - _YOUNG
    aged = sorted(
        ((path.stat().st_mtime, path) for path in state.generations.iterdir() if not path.is_symlink()), reverse=True
    )
    for (superseded, _), (_, path) in pairwise(aged[KEEP - 1 :]):
        if path.name not in {name, previous} and superseded < long_ago:
            shutil.rmtree(path)
    for path in state.secrets.glob("*"):
        if not (state.generations / path.name).exists():
            shutil.rmtree(path)
