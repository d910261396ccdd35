"""The messages of a scene, where each of them must be in the end, and what lies there."""

import collections
import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from crash_host import NextHost

_TOKEN = re.compile(rb"Token[0-9]{6}x")
_MAILS = re.compile(rb"^From .*\n", re.MULTILINE)  # mboxrd
_BOUNCE = (b"Return-Path: <>", b"Return-Path: <#@[]>")
_LATE = b"\nSubject: delivery is late\n"


@dataclasses.dataclass(frozen=True)
class Item:
    """Something that lies somewhere: a message whole, a bounce of one of its recipients, or a piece of it."""

    token: str
    place: str
    what: str = "whole"

    def __str__(self) -> str:
        return f"{self.what} of {self.token} at {self.place}"


@dataclasses.dataclass
class Letter:
    """A message; `tail` is what a delivered one must end with, to the byte, after lines that were added on top.

    told_of  the recipients of which its sender is told: that they failed, or that they wait
    """

    token: str
    content: bytes
    tail: bytes
    told_of: list[str] = dataclasses.field(default_factory=list)
    expected: list[Item] = dataclasses.field(default_factory=list)
    sent: int = 0  # times
    withdrawn: bool = False  # but perhaps too late

    @property
    def wire(self) -> bytes:
        """As SMTP's DATA has it."""
        return self.content.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\n"

    def to(self, *places: str) -> "Letter":
        """It must arrive whole at these places."""
        self.expected += [Item(self.token, place) for place in places]
        return self

    def fails(self, recipient: str, place: str) -> "Letter":
        """A bounce that names this recipient must arrive there."""
        return self._told(recipient, place, "bounce")

    def waits(self, recipient: str, place: str) -> "Letter":
        """A notice that this recipient waits must arrive there."""
        return self._told(recipient, place, "notice")

    def _told(self, recipient: str, place: str, how: str) -> "Letter":
        self.told_of.append(recipient)
        self.expected.append(Item(self.token, place, f"{how} of {recipient.partition('.')[0]}"))
        return self


class Letters:
    """Those of one scene."""

    def __init__(self, mail: Path, host: NextHost) -> None:
        self._homes = mail / "example.org"
        self._host = host
        self._count = 0
        self._seen: dict[Path, list[Item]] = {}
        self.letters: dict[str, Letter] = {}
        self.fetched: dict[str, bytes] = {}  # what a reader has fetched, by its unique id
        host.is_told = self.is_told

    def new(self, size: int = 0, *, header_changes: bool = False, personal: bool = False) -> Letter:
        """A message with a token of its own.

        size: bytes of a body that is larger than what travels inline.  personal: its sender is told when it is late,
        as that of mail to a list is not.
        """
        self._count += 1
        token = f"Token{self._count:06}x"
        kind = "" if personal else "Precedence: list\n"
        header = f"From: Eve <eve@client.example>\nTo: you\n{kind}Subject: {token}\n\n".encode()
        lines = [b"line %d of %s, and From here on more\n" % (n, token.encode()) for n in range(1 + size // 50)]
        body = b"From the start\n" + b"".join(lines) + b".\n" + b"x" * 120 + b"\n"
        self.letters[token] = Letter(token, header + body, body if header_changes else header + body)
        return self.letters[token]

    def found(self) -> "collections.Counter[Item]":
        """What lies where."""
        items: collections.Counter[Item] = collections.Counter()
        for place, path in self._files():
            found = self._seen.get(path)
            if found is None:
                try:
                    found = [item for mail in self._split(path) for item in self._items(place, mail)]
                except FileNotFoundError:  # renamed meanwhile
                    continue
                if path.name != "Mailbox" and not any(item.what.startswith("piece") for item in found):
                    self._seen[path] = found
            items.update(found)
        for name, mail in list(self._host.taken):
            items.update(self._items(f"host {name.split('.')[0]}", mail))
        for mail in self.fetched.values():
            items.update(self._items("the reader", mail))
        return items

    def _files(self) -> Iterator[tuple[str, Path]]:
        for home in self._homes.iterdir() if self._homes.exists() else ():
            for pattern in ("Maildir/new/*", "Maildir/cur/*", "Mailbox", "got.*"):
                for path in home.glob(pattern):
                    yield home.name, path

    def _split(self, path: Path) -> list[bytes]:
        data = path.read_bytes()
        if path.name != "Mailbox":
            return [data]
        if len(_MAILS.findall(data)) > 1 + data.count(b"\n\nFrom "):
            return [b"two messages with no empty line between them"]
        mails = [mail.rstrip(b"\n") + b"\n" for mail in _MAILS.split(data) if mail.strip()]
        return [re.sub(rb"(?m)^>(>*From )", rb"\1", mail) for mail in mails]

    def _items(self, place: str, mail: bytes) -> Iterator[Item]:
        token = _TOKEN.search(mail)
        letter = self.letters.get(token[0].decode()) if token else None
        if letter is None:
            yield Item("no token", place, f"piece {mail[:60]!r}")
            return
        on_top = mail.removesuffix(letter.tail)
        if mail.startswith(_BOUNCE):
            named = [name for name in letter.told_of if f"<{name}>".encode() in mail.split(b"\n--", 2)[1]]
            how = "notice" if _LATE in mail else "bounce"
            for name in named:
                yield Item(letter.token, place, f"{how} of {name.split('.')[0]}")
            if not named:
                yield Item(letter.token, place, "piece")
        elif mail.endswith(letter.tail) and (letter.tail != letter.content or b"\n\n" not in on_top):
            yield Item(letter.token, place)
        else:
            yield Item(letter.token, place, "piece")

    def missing(self) -> list[Item]:
        """What must be there and is not."""
        found = self.found()
        return [item for letter in self.letters.values() for item in letter.expected if not found[item]]

    def is_told(self, recipient: str) -> bool:
        """Whether the sender of this recipient's message (`name.token`) has got all bounces and notices about it."""
        letter, found = self.letters[recipient.partition(".")[2]], self.found()
        return all(found[item] for item in letter.expected if item.what != "whole")

    def surplus(self) -> "collections.Counter[Item]":
        """What is there more often than it must be, or must not be there."""
        wanted = collections.Counter(item for letter in self.letters.values() for item in letter.expected)
        free = {letter.token for letter in self.letters.values() if letter.withdrawn}
        return collections.Counter({i: n for i, n in (self.found() - wanted).items() if i.token not in free})

    def clear(self) -> None:
        """Everybody has read and removed his mail."""
        for _, path in self._files():
            path.unlink()
        for folder in self._homes.iterdir() if self._homes.exists() else ():
            for path in (*folder.glob("Maildir/tmp/*"), *folder.glob("new.*")):
                path.unlink()
            if folder.name.startswith("carol"):  # has gone; a thousand of them are slow to look through
                shutil.rmtree(folder)
        self._seen.clear()
        self.fetched.clear()
        self._host.taken.clear()
        self.letters.clear()
