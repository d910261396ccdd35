"""What the soak sends, and where it belongs: any letter can be written again from its token, byte for byte."""

import random
import re
import threading
from dataclasses import dataclass, field

SENDER = "returns@example.org"
TOKEN = re.compile(rb"^Subject: token-([0-9]+[a-z])$", re.MULTILINE)
# recipient -> the places where its mail must be found; {} is the letter's token
BELONGS = {
    "alice@example.org": ("alice",),
    "team@example.org": ("alice", "bob"),
    "desk@example.org": ("desk",),
    "abroad@example.org": ("partner",),
    "to-{}@partner.example": ("partner",),
    "to-{}@refusing.example": ("refusing",),
    "to-{}@silent.example": ("silent",),
}
# which the senders choose from: most mail is ordinary
CHOICE = [name for name, weight in zip(BELONGS, (8, 4, 1, 2, 4, 1, 1), strict=True) for _ in range(weight)]
_LINES = [
    b"",
    b".",
    b"..two dots",
    b"From the beginning",
    b"x" * 76,
    b"\xe4\xf6\xfc \xf0\x9f\x93\xae",
    b"y" * 1200,
    b"\tz ",
]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was, or may have been, accepted.

    token    a number, and a letter for the way it came in
    address  its recipient; kind: the entry of BELONGS that it is of
    size     about so many bytes of body
    at       when it was answered, seconds since 1970
    """

    token: str
    kind: str
    size: int
    at: float = 0.0

    @property
    def address(self) -> str:
        return self.kind.format(self.token)

    @property
    def body(self) -> bytes:
        """The same each time it is asked for."""
        chance = random.Random(self.token)
        lines, size = [], 0
        while size < self.size:
            lines.append(chance.choice(_LINES) + b" %d" % chance.getrandbits(30))
            size += len(lines[-1]) + 1
        return b"\n".join(lines) + b"\n"

    @property
    def content(self) -> bytes:
        """As it is to be stored, lines ending in LF."""
        head = f"From: {SENDER}\nTo: {self.address}\nSubject: token-{self.token}\nDate: 22 Nov 2026 22:00:00 -0000\n"
        return head.encode() + f"Message-ID: <{self.token}@client.example>\n\n".encode() + self.body

    def is_whole(self, mail: bytes) -> bool:
        """Whether a delivered message ends in this letter; qmail-inject writes the header in its own order."""
        return mail.endswith(b"\n\n" + self.body if self.token.endswith("i") else b"\n" + self.content)


@dataclass
class Ledger:
    """accepted: what was answered with yes; unsure: sent, and no answer came; dropped: perhaps, by hand.

    put_off: answered with "later"; that is said, too, when the queue dies with the answer, and perhaps has the letter.
    """

    accepted: dict[str, Letter] = field(default_factory=dict)
    unsure: dict[str, Letter] = field(default_factory=dict)
    put_off: dict[str, Letter] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def letter(self, way: str, size: int) -> Letter:
        """A new one, for some recipient; unsure until it is accepted."""
        with self._lock:
            self._count += 1
            made = Letter(f"{self._count}{way}", random.choice(CHOICE), size)
            self.unsure[made.token] = made
        return made

    def answered(self, letter: Letter, at: float, *, accepted: bool) -> None:
        """What came of it."""
        with self._lock:
            del self.unsure[letter.token]
            kept = self.accepted if accepted else self.put_off
            kept[letter.token] = Letter(letter.token, letter.kind, letter.size, at)

    @property
    def sent(self) -> int:
        return self._count
