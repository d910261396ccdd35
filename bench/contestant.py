"""What the benchmark asks of every mail server: a place to work in becomes a way to start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

DOMAIN = "bench.example"
MAILBOX = f"user@{DOMAIN}"
ELSEWHERE = "user@elsewhere.example"
SENDER = "sender@client.example"

Mode = Literal["maildir", "relay"]


@dataclass(frozen=True)
class Place:
    """Where a contestant runs once: a fresh folder and ports of its own on 127.0.0.1."""

    folder: Path
    mode: Mode
    port: int
    sink_port: int

    @property
    def maildir(self) -> Path:
        return self.folder / "mail" / "user" / "Maildir"


@dataclass(frozen=True)
class Start:
    """How a contestant is started, and where its mail arrives.

    overlays  (folder, target): in a private mount namespace, the folder's files appear in target
    binds     (folder, target): the folder stands for target there
    """

    command: list[str]
    maildir: Path
    environment: dict[str, str] = field(default_factory=dict)
    overlays: list[tuple[str, str]] = field(default_factory=list)
    binds: list[tuple[str, str]] = field(default_factory=list)


class Contestant(Protocol):
    """A module of bench/contestants/.

    SESSIONS        connections at a time that the load opens to it
    SHARE           how many messages of a run it gets (1 = all): slow ones get fewer, so that all runs are about equally long
    RELAY_BY_ALIAS  its mailbox is an alias that leads to the sink, because it relays for nobody without AUTH
    DURABILITY      what is on disk when it says 250
    """

    TITLE: str
    SESSIONS: int
    SHARE: float
    RELAY_BY_ALIAS: bool
    DURABILITY: str

    def missing(self) -> str | None:
        """Why it can't run on this machine, or None."""

    def version(self) -> str:
        """Its version, for the table's head."""

    def prepare(self, place: Place) -> Start:
        """Write its configuration and folders. Raises OSError."""


def make_maildir(path: Path) -> None:
    """Make an empty Maildir, so that the watcher can be in place before the first message."""
    for name in ("tmp", "new", "cur"):
        (path / name).mkdir(parents=True)


class WithMore:
    """A contestant with more lines in a file of its configuration.

    file     below the place's folder
    lines    what is appended there
    through  a command that starts it, before its own
    """

    def __init__(
        self, contestant: Contestant, file: str, lines: Callable[[Place], str], through: Sequence[str] = ()
    ) -> None:
        self.TITLE, self.SESSIONS, self.SHARE = contestant.TITLE, contestant.SESSIONS, contestant.SHARE
        self.RELAY_BY_ALIAS, self.DURABILITY = contestant.RELAY_BY_ALIAS, contestant.DURABILITY
        self._contestant, self._file, self._lines, self._through = contestant, file, lines, through

    def missing(self) -> str | None:
        return self._contestant.missing()

    def version(self) -> str:
        return self._contestant.version()

    def prepare(self, place: Place) -> Start:
        start = self._contestant.prepare(place)
        with (place.folder / self._file).open("a") as file:
            file.write(self._lines(place))
        return replace(start, command=[*self._through, *start.command])
