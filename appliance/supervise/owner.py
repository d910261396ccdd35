"""Root becomes the owner of the state folder before anything runs.

Started by another user, nothing happens.  Started by root:

1. A state folder with content has an owner.  If that is not root, root becomes that user.
2. A new (missing or empty) state folder goes to the owner of the folder it lies in, or, if that is
   root, to uid 65534; root becomes that user.
3. Whether that user can work is tried first, by a child that becomes it: it must be able to read
   the YAML file, our code and Python's, and to reach the state folder.
4. Where the state folder belongs to root, or the user of 2. could not work (such as in a checkout
   below /root), it stays root and warns loudly: whoever is root and hands over a folder of root's has
   said so, and a refusal would only teach people to switch it off.  Never in the image, which has a user.
5. Where the state folder belongs to a user that could not work, it refuses: files of root's among
   that user's would stop the next start.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance import log

NOBODY = 65534


class Refused(Exception):
    """It would have to run as root; the text says why and what would help."""


def settle(state: Path, config: Path) -> None:
    """Make the state folder and become its owner. Raises Refused, OSError."""
    if os.geteuid() != 0:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    fresh = not state.exists() or all(entry.name == "lost+found" for entry in state.iterdir())
    uid, gid = _owner(state, fresh=fresh)
    why = f"{state} belongs to root" if uid == 0 else obstacle(lambda: _become(uid, gid), state, config)
    if why and (uid == 0 or fresh):
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.warning(f"RUNNING AS ROOT, because {why}; better: give the state folder to another user and run as that")
        return
    if why:
        raise Refused(f"will not run as root on another user's state folder, and {why}; mend that")
    if fresh:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(state, uid, gid)
    _become(uid, gid)
    log.warning(f"started by root, running as uid {uid}, the owner of {state}")


def _owner(state: Path, *, fresh: bool) -> tuple[int, int]:
    about = _nearest(state).stat()
    if about.st_uid == 0 and fresh:
        return NOBODY, NOBODY
    return about.st_uid, about.st_gid


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def obstacle(become: Callable[[], None], state: Path, config: Path) -> str:
    """Why a user could not work here, tried in a child; empty if it could."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become()
            os.write(write, next(_unreachable(os.geteuid(), state, config), "").encode())
        except OSError as cause:
            os.write(write, f"this process can't become that user ({cause})".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(pid, 0)
    return text


def _unreachable(uid: int, state: Path, config: Path) -> Iterator[str]:
    for path in (config, Path(__file__), Path(os.__file__), Path(sys.prefix)):
        if not os.access(path, os.R_OK):
            yield f"uid {uid} can't read {path}"
    if not os.access(_nearest(state), os.X_OK):
        yield f"uid {uid} can't reach {state}"


def _nearest(path: Path) -> Path:
    """The path itself, or what there is of its way."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
