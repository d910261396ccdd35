"""Records of the journal: Damaged, or changes whose rows are written as they were read, if in another order."""

from appliance.queue import record

WORDS = (
    b"M",
    b"D",
    b"U",
    b"F",
    b"G",
    b"X",
    b"Y",
    b"L",
    b"N",
    b"\xff" * 8,
    b"\0" * 8,
    b"\1" + b"\0" * 7,
    b"\xff\xff\xff\x7f",
)


def target(data: bytes) -> None:
    try:
        changes = record.decode(data)
    except record.Damaged:
        return
    once = b"".join(record.encode(changes))
    assert _rows(b"".join(record.encode(record.decode(once)))) == _rows(once)


def _rows(data: bytes) -> list[str]:
    return sorted(map(repr, record._rows(data)))
