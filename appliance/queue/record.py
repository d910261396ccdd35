"""A batch of changes as bytes, for the journal.  Pure.

Rows follow each other, each a letter, its numbers (little endian) and its texts:

    M  id, size, deliveries, lengths of sender and content (-1: in a body file); sender, content
    D  id, message, due, attempts, channel, lengths of destination, recipients, report; these
    U  as D: an update of a delivery
    F  message, length; a paragraph for its bounce
    G  message whose paragraphs are in a bounce now        X  delivery that is done
    Y  message that is finished                            L  the highest id given out
    N  message, when its failures must be reported, whether its sender was told that it waits
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from struct import Struct, error
from typing import Any

from appliance.queue.store import Change, DeliveryRow, MessageRow, NoticeRow

_MESSAGE = Struct("<cqqiii")
_DELIVERY = Struct("<cqqdibiii")
_FAILURE = Struct("<cqi")
_NOTICE = Struct("<cqd?")
_NUMBER = Struct("<cq")
_LETTERS = {b"M": _MESSAGE, b"D": _DELIVERY, b"U": _DELIVERY, b"F": _FAILURE, b"N": _NOTICE} | dict.fromkeys(
    (b"G", b"X", b"Y", b"L"), _NUMBER
)


class Damaged(ValueError):
    """Not a batch of changes: its checksum was right, so another version wrote it."""


def encode(changes: Iterable[Change]) -> list[bytes]:
    """The pieces of a record."""
    out: list[bytes] = []
    last = 0
    for change in changes:
        for m in change.messages:
            length = -1 if m.content is None else len(m.content)
            out += (_MESSAGE.pack(b"M", m.id, m.size, m.deliveries, len(m.sender), length), m.sender, m.content or b"")
        for d in change.deliveries:
            _add_delivery(out, b"D", d)
        for d in change.updates:
            _add_delivery(out, b"U", d)
        for message, text in change.failures:
            out += (_FAILURE.pack(b"F", message, len(text)), text)
        out.extend(_NUMBER.pack(b"G", message) for message in change.forgotten)
        out.extend(_NOTICE.pack(b"N", *row) for row in change.notices)
        out.extend(_NUMBER.pack(b"X", delivery) for delivery in change.done)
        out.extend(_NUMBER.pack(b"Y", message) for message in change.finished)
        last = max(last, change.last)
    if last:
        out.append(_NUMBER.pack(b"L", last))
    return out


def _add_delivery(out: list[bytes], letter: bytes, d: DeliveryRow) -> None:
    lengths = len(d.destination), len(d.recipients), len(d.report)
    head = _DELIVERY.pack(letter, d.id, d.message, d.due, d.attempts, d.channel, *lengths)
    out += (head, d.destination, d.recipients, d.report)


def decode(data: bytes) -> list[Change]:
    """All of a record's rows as one change; more of them where failures follow forgotten ones, which they outlive. Raises Damaged."""
    changes: list[Change] = []
    rows: dict[bytes, list[Any]] = {letter: [] for letter in _LETTERS}
    for letter, row in _rows(data):
        if letter == b"F" and rows[b"G"]:
            changes.append(_change(rows))
            rows = {each: [] for each in _LETTERS}
        rows[letter].append(row)
    return [*changes, _change(rows)]


def legible(data: bytes) -> list[DeliveryRow]:
    """The new deliveries of a record that is damaged, as far as they can be read: for people, never to be believed."""
    found: list[DeliveryRow] = []
    with suppress(Damaged):
        for letter, row in _rows(data):
            if letter == b"D":
                found.append(row)  # those before the damage stay
    return found


def _change(rows: dict[bytes, list[Any]]) -> Change:
    change = Change(rows[b"M"], rows[b"D"], rows[b"X"], rows[b"Y"], max(rows[b"L"], default=0))
    change.updates, change.failures, change.forgotten, change.notices = (
        rows[each] for each in (b"U", b"F", b"G", b"N")
    )
    return change


def _rows(data: bytes) -> Iterator[tuple[bytes, Any]]:
    """Each row with its letter. Raises Damaged."""
    position, end = 0, len(data)
    row: Any
    try:
        while position < end:
            letter = data[position : position + 1]
            head = _LETTERS[letter]
            values = head.unpack_from(data, position)
            start = position = position + head.size
            if letter == b"M":
                _, number, size, count, sender, length = values
                here, position = position, position + sender
                content = None if length < 0 else data[position : position + length]
                row = MessageRow(number, data[here:position], size, count, content)
                position += max(0, length)
            elif letter in (b"D", b"U"):
                _, number, message, due, attempts, channel, *lengths = values
                first = position + lengths[0]
                second = first + lengths[1]
                texts = data[position:first], data[first:second], data[second : second + lengths[2]]
                row = DeliveryRow(number, message, channel, texts[0], due, attempts, texts[1], texts[2])
                position = second + lengths[2]
            elif letter == b"F":
                row = (values[1], data[position : position + values[2]])
                position += values[2]
            else:
                row = NoticeRow(*values[1:]) if letter == b"N" else values[1]
            if not start <= position <= end:
                raise error("a text that goes on after the end")
            yield letter, row
    except (error, KeyError) as cause:
        raise Damaged(f"a row that can't be read, at byte {position} of a record") from cause
