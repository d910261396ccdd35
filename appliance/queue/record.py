"""A batch of changes as bytes, for the journal.  Pure.

Rows follow each other, each a letter, its numbers (little endian) and its texts:

    M  id, size, deliveries, lengths of sender and content (-1: in a body file); sender, content
    D  id, message, due, attempts, channel, lengths of destination, recipients, report; these
    U  as D: an update of a delivery
    F  message, length; a paragraph for its bounce
    G  message whose paragraphs are in a bounce now        X  delivery that is done
    Y  message that is finished                            L  the highest id given out
"""

from collections.abc import Iterable
from struct import Struct, error

from appliance.queue.store import Change, DeliveryRow, MessageRow

_MESSAGE = Struct("<cqqiii")
_DELIVERY = Struct("<cqqdibiii")
_FAILURE = Struct("<cqi")
_NUMBER = Struct("<cq")


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


def decode(data: bytes) -> Change:
    """All of a record's rows as one change. Raises Damaged."""
    position, end = 0, len(data)
    messages: list[MessageRow] = []
    deliveries: list[DeliveryRow] = []
    updates: list[DeliveryRow] = []
    failures: list[tuple[int, bytes]] = []
    numbers: dict[bytes, list[int]] = {b"G": [], b"X": [], b"Y": [], b"L": [0]}
    try:
        while position < end:
            letter = data[position : position + 1]
            if letter == b"M":
                _, number, size, count, sender, length = _MESSAGE.unpack_from(data, position)
                position += _MESSAGE.size
                texts = _texts(data, position, (sender, max(0, length)))
                position += sender + max(0, length)
                messages.append(MessageRow(number, texts[0], size, count, None if length < 0 else texts[1]))
            elif letter in (b"D", b"U"):
                _, number, message, due, attempts, channel, *lengths = _DELIVERY.unpack_from(data, position)
                position += _DELIVERY.size
                destination, recipients, report = _texts(data, position, lengths)
                position += sum(lengths)
                row = DeliveryRow(number, message, channel, destination, due, attempts, recipients, report)
                (deliveries if letter == b"D" else updates).append(row)
            elif letter == b"F":
                _, message, length = _FAILURE.unpack_from(data, position)
                position += _FAILURE.size
                failures.append((message, _texts(data, position, (length,))[0]))
                position += length
            else:
                numbers[letter].append(_NUMBER.unpack_from(data, position)[1])
                position += _NUMBER.size
    except (error, KeyError) as cause:
        raise Damaged(f"a row that can't be read, at byte {position} of a record") from cause
    change = Change(messages, deliveries, numbers[b"X"], numbers[b"Y"], numbers[b"L"][-1])
    change.updates, change.failures, change.forgotten = updates, failures, numbers[b"G"]
    return change


def _texts(data: bytes, position: int, lengths: Iterable[int]) -> list[bytes]:
    texts: list[bytes] = []
    for length in lengths:
        if length < 0 or position + length > len(data):
            raise error("a text that goes on after the end")
        texts.append(data[position : position + length])
        position += length
    return texts
