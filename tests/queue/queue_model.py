"""What a queue has to do, in few words: letters, their deliveries, and what is owed to whom.  No store, no commits, no timers."""

import re
from dataclasses import dataclass, field

from appliance import message_id
from appliance.queue.bounce import DOUBLE, PATIENCE
from appliance.queue.schedule import LIFETIME, expired, next_attempt
from appliance.queue.store import LOCAL, NEVER, REMOTE, recipients

SENDER = b"bob@elsewhere.example"
POSTMASTER = b"postmaster@mx.example.org"
_NAME = re.compile(rb"\(paperpath (\w+) invoked")
_RETURNED = re.compile(rb"^Content-Type: (?:message/rfc822|text/rfc822-headers)", re.MULTILINE)
_WHO = re.compile(rb"^Final-Recipient: rfc822; *(\S+)", re.MULTILINE)


@dataclass
class Way:
    """A delivery: some recipients that go the same way."""

    channel: int
    left: tuple[bytes, ...]
    due: float
    attempts: int = 0
    leased: bool = False

    def seen(self, now: float) -> tuple[object, ...]:
        """As a list shows it; what is due may have been due for any time."""
        return self.channel, self.left, self.attempts, max(now, self.due)


@dataclass
class Letter:
    """A message."""

    sender: bytes
    ways: dict[int, Way]
    failures: list[bytes] = field(default_factory=list)  # recipients whose failure nobody was told of yet
    report_due: float = NEVER
    delayed: bool = False
    held: bool = False
    dropped: bool = False


class Model:
    """The queue."""

    def __init__(self) -> None:
        self.letters: dict[int, Letter] = {}
        self.last = 0
        self.owed: dict[int, tuple[bytes, list[bytes]]] = {}  # by message: who must be told now, of which recipients
        self.discarded = 0

    def accept(self, number: int, sender: bytes, people: tuple[bytes, ...], now: float) -> None:
        assert number > self.last, "ids grow"
        ways: dict[tuple[int, bytes], list[bytes]] = {}
        for person in people:
            _, _, domain = person.partition(b"@")
            local = domain in (b"example.org", b"mx.example.org")
            name = b"example.org-" + person if domain == b"example.org" else person
            ways.setdefault((LOCAL, b"") if local else (REMOTE, domain), []).append(name)
        rows = {number + n: Way(way[0], tuple(left), now) for n, (way, left) in enumerate(ways.items(), 1)}
        self.letters[number] = Letter(sender, rows)
        self.last = number + len(rows)

    def lease(self, delivery: int, now: float) -> Letter:
        """A worker has got it."""
        number = self.owner(delivery)
        letter = self.letters[number]
        way = letter.ways[delivery]
        assert not way.leased, "two workers have it"
        assert way.due <= now, "too early"
        assert not letter.held, "it is held"
        assert not letter.dropped, "it was dropped"
        way.leased = True
        return letter

    def owner(self, delivery: int) -> int:
        return next(number for number, letter in self.letters.items() if delivery in letter.ways)

    def report(self, delivery: int, letters: str, started: float, now: float) -> None:
        """A worker says for each recipient: K done, Z later, D never."""
        number = self.owner(delivery)
        letter = self.letters[number]
        way = letter.ways[delivery]
        way.leased = False
        last = expired(message_id.born(number), started, LIFETIME)
        if letter.dropped:
            letters = "K" * len(letters)
        pairs = list(zip(way.left, letters, strict=True))
        letter.failures += [who for who, what in pairs if what == "D" or (what == "Z" and last)]
        way.left = () if last else tuple(who for who, what in pairs if what == "Z")
        way.attempts += 1
        way.due = NEVER if letter.held else next_attempt(message_id.born(number), started, way.channel)
        if not way.left:
            del letter.ways[delivery]
        if not letter.ways:
            self._end(number)
        elif letter.failures and letter.report_due == NEVER:
            letter.report_due = now + PATIENCE

    def _end(self, number: int) -> None:
        letter = self.letters.pop(number)
        if letter.failures:
            self._owe(number, letter)

    def _owe(self, number: int, letter: Letter) -> None:
        if letter.sender == DOUBLE:
            self.discarded += len(letter.failures)
        else:
            self.owed[number] = (letter.sender, letter.failures)

    # -- by hand --------------------------------------------------------------------------

    def hold(self, number: int) -> None:
        letter = self.letters[number]
        letter.held = True
        for way in self._resting(letter):
            way.due = NEVER

    def release(self, number: int, now: float) -> None:
        letter = self.letters[number]
        for way in self._resting(letter):
            if way.due == NEVER or letter.held:
                way.due = now
        letter.held = False

    def retry(self, number: int, now: float) -> None:
        for way in self._resting(self.letters[number]):
            if way.due != NEVER:
                way.due = min(way.due, now)

    def drop(self, number: int) -> None:
        letter = self.letters[number]
        letter.ways = {delivery: way for delivery, way in letter.ways.items() if way.leased}
        letter.failures = []
        letter.dropped = True
        if not letter.ways:
            self._end(number)

    def _resting(self, letter: Letter) -> list[Way]:
        return [way for way in letter.ways.values() if not way.leased]

    def restart(self) -> None:
        """What is in memory only is forgotten."""
        for letter in self.letters.values():
            letter.held = letter.dropped = False
            for way in letter.ways.values():
                way.leased = False

    # -- what the queue does by itself ----------------------------------------------------------

    def notice(self, number: int, content: bytes, rows: list[Way], deliveries: list[int], now: float) -> None:
        """A letter of the queue's own is there: somebody must be owed it, and it tells exactly what is owed."""
        about = message_id.parse(_NAME.findall(content)[1].decode())  # the first one is its own
        status = _RETURNED.split(content)[0]
        who = sorted(_WHO.findall(status))
        if about in self.owed:
            sender, failures = self.owed.pop(about)
        else:
            letter = self.letters[about]
            sender, failures = letter.sender, letter.failures
            if b"\nAction: delayed" in status:
                assert not letter.delayed, "told twice that it is late"
                assert message_id.born(about) + PATIENCE <= now
                letter.delayed = True
                failures = [person for way in letter.ways.values() if way.attempts for person in way.left]
            else:
                assert letter.report_due <= now, "told too early"
                letter.failures, letter.report_due = [], NEVER
        assert who == sorted(map(_public, failures))
        assert number > self.last
        self.last = number + len(rows)
        new = b"" if sender else DOUBLE
        self.letters[number] = Letter(new, dict(zip(deliveries, rows, strict=True)))
        (row,) = rows
        assert _public(row.left[0]) == (sender or POSTMASTER)

    def listing(self, now: float) -> dict[int, object]:
        """All of it, as a list shows it."""
        return {
            number: (letter.sender, len(letter.failures), [way.seen(now) for _, way in sorted(letter.ways.items())])
            for number, letter in self.letters.items()
        }


def _public(person: bytes) -> bytes:
    return person.removeprefix(b"example.org-")


def way_of(row: object) -> Way:
    """A row of a store."""
    return Way(row.channel, recipients(row.recipients)[0], row.due, row.attempts)


def listed(store: object, now: float) -> dict[int, object]:
    """What a store has, in the model's words."""
    return {
        item.message.id: (item.message.sender, item.failures, [way_of(row).seen(now) for row in item.deliveries])
        for item in store.listing(0, 10_000)
    }
