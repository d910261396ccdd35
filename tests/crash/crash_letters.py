"""The messages of a scene, where each of them must be in the end, and what lies there."""

import collections
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from crash_host import NextHost

_TOKEN = re.compile(rb"Token[0-9]{6}x")
_MAILS = re.compile(rb"^From .*\n", re.MULTILINE)  # mboxrd
_BOUNCE = (b"Return-Path: <>", b"Return-Path: <#@[]>")


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
    """A message; `tail` is what a delivered one must end with, to the byte, after lines that were added on top."""

    token: str
    content: bytes
    tail: bytes
    failing: list[str] = dataclasses.field(default_factory=list)
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
        self.failing.append(recipient)
        self.expected.append(Item(self.token, place, f"bounce of {recipient.partition('.')[0]}"))
        return self


class Letters:
    """Those of one scene."""

    def __init__(self, mail: Path, host: NextHost) -> None:
        self._homes = mail / "example.org"
        self._host = host
        self._count = 0
        self._seen: dict[Path, list[Item]] = {}
        self.letters: dict[str, Letter] = {}

    def new(self, size: int = 0, *, header_changes: bool = False) -> Letter:
        """A message with a token of its own; size: bytes of a body that is larger than what travels inline."""
        self._count += 1
        token = f"Token{self._count:06}x"
        header = f"From: Eve <eve@client.example>\nTo: you\nSubject: {token}\n\n".encode()
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
        return items

    def _files(self) -> Iterator[tuple[str, Path]]:
        for home in self._homes.iterdir() if self._homes.exists() else ():
            for pattern in ("Maildir/new/*", "Mailbox", "got.*"):
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
            named = [name for name in letter.failing if f"<{name}>".encode() in mail.split(b"\n--", 2)[1]]
            for name in named:
                yield Item(letter.token, place, f"bounce of {name.split('.')[0]}")
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
        self._seen.clear()
        self._host.taken.clear()
        self.letters.clear()
