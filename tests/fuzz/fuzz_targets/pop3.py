"""A POP3 client's lines, before and after it has logged in: each has one answer, whole and well-formed."""

from appliance.pop3d import wire
from appliance.pop3d.authorization import Authorization, Login
from appliance.pop3d.transaction import Transaction

WORDS = (
    b"USER a@b.example\n",
    b"PASS x\n",
    b"APOP a b\n",
    b"STAT\n",
    b"LIST\n",
    b"UIDL 1\n",
    b"RETR 1\n",
    b"TOP 2 1\n",
)
WORDS += (
    b"DELE 3\n",
    b"RSET\n",
    b"LAST\n",
    b"NOOP\n",
    b"CAPA\n",
    b"QUIT\n",
    b"\r\n",
    b" ",
    b"9999999999",
    b"-1",
    b"\xb2",
    b"\0",
    b"\r",
)
_MESSAGES = (b"Subject: a\n\n.dot\nend", b"", b"\r\n.\r\n\n\nx")
_MANY_LINES = (b"LIST", b"UIDL", b"RETR", b"TOP", b"CAPA")


class Mailbox:
    """Three messages in memory."""

    def __init__(self) -> None:
        self.sizes = [wire.size([text]) for text in _MESSAGES]
        self.deleted = bytearray(len(_MESSAGES))

    def __len__(self) -> int:
        return len(_MESSAGES)

    def uid(self, index: int) -> bytes:
        return b"uid%d" % index

    def message(self, index: int):
        return wire.message([_MESSAGES[index]])

    def top(self, index: int, lines: int):
        return wire.message(wire.top(_MESSAGES[index].splitlines(keepends=True), lines))

    def update(self):
        yield 0


def target(data: bytes) -> None:
    lines = [line + b"\n" for line in data.split(b"\n")]
    for passwords in (False, True):
        before = Authorization(b"<1@mx>" if len(data) % 2 else b"", passwords=passwords)
        for line in lines:
            answer = before.answer(line)
            if isinstance(answer, Login):
                assert answer.user
                assert passwords or answer.digest
            else:
                _whole(line, answer)
    after = Transaction(Mailbox())
    for line in lines:
        answer = after.answer(line)
        _whole(line, answer if isinstance(answer, bytes) else b"".join(answer))
        if after.quitting:
            break


def _whole(line: bytes, answer: bytes) -> None:
    assert answer.startswith((b"+OK", b"-ERR")), answer
    assert answer.endswith(b"\r\n")
    assert b"\r" not in answer.replace(b"\r\n", b"") or b"\r" in b"".join(_MESSAGES)
    many = answer.count(b"\r\n") > 1
    assert not many or (line.upper().startswith(_MANY_LINES) and answer.endswith(b"\r\n.\r\n"))
