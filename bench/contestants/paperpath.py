"""Paperpath, from this working tree, on the Python it is installed for or on another one."""

import json
import os
import subprocess
from pathlib import Path

from bench.contestant import DOMAIN, Place, Start, make_maildir
from bench.peers import MAILBOX_UID, closed_to_others, give

TITLE = "Paperpath"
SESSIONS = 20
SHARE = 1.0
RELAY_BY_ALIAS = False
DURABILITY = (
    "before the 250: one synced write to the queue's journal, shared by all messages that came during the last one; "
    "before the queue forgets it: the Maildir file before its rename and the folder after it, by syncfs or by fsync each"
)


CONFIG = "config/mail.yaml"  # below the place's folder
_COMMAND = Path(".venv/bin/paperpath")
PYTHON: Path | None = None  # that runs the command instead of the one it is installed for; it must have all wheels

_CONFIG = """\
version: 1
hostname: mx.{domain}
listen:
  smtp: {{address: 127.0.0.1, port: {port}}}
domains:
  {domain}:
    mailboxes:
      user: {{}}
    aliases:
      postmaster: [user]
relay:
  allow_from: [127.0.0.1/32]
routes:
  - {{domain: "*", via: "smtp://127.0.0.1:{sink_port}"}}
"""


def use(python: Path) -> None:
    """Run Paperpath on this Python. Raises OSError, CalledProcessError if it does not start."""
    global PYTHON
    # compiled here and now, for the user to whom Paperpath drops may not write into the tree
    subprocess.run([python, "-m", "compileall", "-q", "appliance"], check=True)
    PYTHON = python


def missing() -> str | None:
    """Why it can't run here."""
    if not _COMMAND.exists():
        return f"{_COMMAND} is missing (make run, or make bench, sets it up)"
    lacking = [part for part, version in _versions().items() if version == "missing"]
    return f"{PYTHON or _COMMAND} lacks {', '.join(lacking)}" if lacking else None


def version() -> str:
    """That of the package, and Python's, which makes a difference."""
    versions = _versions()
    return f"{versions['paperpath']}, Python {versions['python']}"


def _versions() -> dict[str, str]:
    """What `paperpath version` says. Raises CalledProcessError if it says nothing."""
    command = [*_command(), "version", "--json"]
    found = subprocess.run(command, env={**os.environ, **_environment()}, stdout=subprocess.PIPE, check=True)
    versions: dict[str, str] = json.loads(found.stdout)
    return versions


def _command() -> list[str]:
    own = str(_COMMAND.absolute())
    return [str(PYTHON.absolute()), own] if PYTHON else [own]


def _environment() -> dict[str, str]:
    """Another Python takes the package from here, not one that it may have itself."""
    return {"PYTHONPATH": os.getcwd()} if PYTHON else {}


def prepare(place: Place) -> Start:
    """Write mail.yaml; when this is root the state folder belongs to an ordinary user, to which Paperpath drops."""
    state = place.folder / "state"
    maildir = state / "mail" / DOMAIN / "user" / "Maildir"
    make_maildir(maildir)
    config = place.folder / CONFIG
    config.parent.mkdir()
    config.write_text(_CONFIG.format(domain=DOMAIN, port=place.port, sink_port=place.sink_port))
    if os.geteuid() == 0 and not closed_to_others(PYTHON.resolve() if PYTHON else Path(os.__file__)):
        give(state, MAILBOX_UID)
    command = [*_command(), "run", "--config", str(config), "--state", str(state)]
    # it stays root only where this Python lies in root's own home, where no other user may read it
    return Start(command, maildir, _environment())
