"""Where everything lies in the state folder: the one list of paths that programs share.

    generations/HASH/ control/ users/ mail/ (compiled dot-qmail files)
    generations/active  link to the generation in force, swapped in one step
    secrets/HASH/     the part of a generation that only some programs may read: hashes of passwords
    control, users    links through it, for people and qmail's tools
    queue/            the queue program's own: queue.sqlite, journal, body/
    mail/             mailboxes: <domain>/<mailbox>/Maildir
    run/              sockets, role tokens, the lock; made fresh at every start

Everything but queue/ and mail/ can be deleted while nothing runs.
"""

from pathlib import Path
from typing import NamedTuple


class State(NamedTuple):
    """The state folder."""

    root: Path

    @property
    def generation(self) -> Path:
        return self.root / "generations" / "active"

    @property
    def generations(self) -> Path:
        return self.root / "generations"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def queue(self) -> Path:
        return self.root / "queue"

    @property
    def database(self) -> Path:
        return self.root / "queue" / "queue.sqlite"

    @property
    def journal(self) -> Path:
        return self.root / "queue" / "journal"

    @property
    def bodies(self) -> Path:
        return self.root / "queue" / "body"

    @property
    def mail(self) -> Path:
        return self.root / "mail"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def lock(self) -> Path:
        return self.root / "run" / "lock"

    @property
    def tokens(self) -> Path:
        return self.root / "run" / "tokens"

    @property
    def scratch(self) -> Path:
        """The programs of dot-qmail files have their TMPDIR here while they run."""
        return self.root / "run" / "tmp"

    def door(self, name: str) -> Path:
        """The socket of that name: intake, lease or admin of the queue, launch of the launcher."""
        return self.root / "run" / f"{name}.sock"
