"""Paperpath, from this working tree."""

import os
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


def missing() -> str | None:
    """Why it can't run here."""
    return None if _COMMAND.exists() else f"{_COMMAND} is missing (make run, or make bench, sets it up)"


def version() -> str:
    """That of the package."""
    from appliance import __version__  # noqa: PLC0415  # the table must render without the package

    return __version__


def prepare(place: Place) -> Start:
    """Write mail.yaml; when this is root the state folder belongs to an ordinary user, to which Paperpath drops."""
    state = place.folder / "state"
    maildir = state / "mail" / DOMAIN / "user" / "Maildir"
    make_maildir(maildir)
    config = place.folder / CONFIG
    config.parent.mkdir()
    config.write_text(_CONFIG.format(domain=DOMAIN, port=place.port, sink_port=place.sink_port))
    if os.geteuid() == 0 and not closed_to_others(Path(os.__file__)):
        give(state, MAILBOX_UID)
    command = [str(_COMMAND.absolute()), "run", "--config", str(config), "--state", str(state)]
    # it stays root only where this Python lies in root's own home, where no other user may read it
    return Start(command, maildir)
