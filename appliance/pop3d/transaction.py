"""What a client may say after it has logged in (RFC 1939 sections 5 to 7): a table of verbs.

A verb's answer is bytes that are ready, or pieces that need the disk or many words: an iterator
whose every step blocks a little while.  An OSError from a step means that the session must end, for the client can't be
told in the middle of a message.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar

from appliance.pop3d import commands
from appliance.pop3d.authorization import capabilities
from appliance.pop3d.commands import Refusal
from appliance.pop3d.listing import Gone
from appliance.pop3d.mailbox import Mailbox

Answer = bytes | Iterator[bytes]

_SLICE = 1000  # lines of a listing in one piece
_END = b".\r\n"
_OK = b"+OK \r\n"


class Transaction:
    """The state of one session after its log-in.

    quitting        after QUIT; its answer, when it has been iterated to the end, has removed what was deleted
    fetched, bytes  messages sent by RETR, and their octets
    removed         messages that QUIT has removed
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.quitting = False
        self.fetched = self.bytes = self.removed = 0
        self._last = 0
        self._marked = 0  # messages marked as deleted, and their octets
        self._marked_bytes = 0
        self._total = sum(mailbox.sizes)

    @property
    def greeting(self) -> bytes:
        """The answer to a log-in."""
        return b"+OK %d messages\r\n" % len(self.mailbox)

    def answer(self, line: bytes) -> Answer:
        """The answer to a line."""
        try:
            verb, rest = commands.parse(line)
            perform = self._VERBS.get(verb)
            if perform is None:
                raise Refusal("no such command here")
            return perform(self, rest)
        except Refusal as refusal:
            return refusal.reply

    def _stat(self, rest: bytes) -> Answer:
        commands.nothing(rest)
        left, size = len(self.mailbox) - self._marked, self._total - self._marked_bytes
        return b"+OK %d %d\r\n" % (left, size)

    def _list(self, rest: bytes) -> Answer:
        return self._listing(rest, lambda index: b"%d" % self.mailbox.sizes[index])

    def _uidl(self, rest: bytes) -> Answer:
        return self._listing(rest, self.mailbox.uid)

    def _listing(self, rest: bytes, tell: Callable[[int], bytes]) -> Answer:
        if rest.strip():
            index = self._message(rest)
            return b"+OK %d %b\r\n" % (index + 1, tell(index))
        return self._all(tell)

    def _all(self, tell: Callable[[int], bytes]) -> Iterator[bytes]:
        yield b"+OK \r\n" if len(self.mailbox) else b"+OK \r\n" + _END
        deleted = self.mailbox.deleted
        for start in range(0, len(self.mailbox), _SLICE):
            stop = min(start + _SLICE, len(self.mailbox))
            lines = [b"%d %b\r\n" % (index + 1, tell(index)) for index in range(start, stop) if not deleted[index]]
            yield b"".join(lines) + (_END if stop == len(self.mailbox) else b"")

    def _retr(self, rest: bytes) -> Answer:
        index = self._message(rest)
        return self._sent(index, lambda: self.mailbox.message(index), whole=True)

    def _top(self, rest: bytes) -> Answer:
        which, *lines = commands.numbers(rest, 2) or [0]
        index = self._message(b"%d" % which)
        if lines:
            return self._sent(index, lambda: self.mailbox.top(index, lines[0]))
        return self._sent(index, lambda: self.mailbox.message(index))  # qmail: without a number all of it

    def _sent(self, index: int, read: Callable[[], Iterator[bytes]], *, whole: bool = False) -> Iterator[bytes]:
        """`+OK` in one piece with the beginning of the message."""
        try:
            pieces = read()
            first = next(pieces)
        except Gone:
            yield b"-ERR [SYS/TEMP] this message is gone\r\n"
            return
        except OSError:
            yield b"-ERR [SYS/TEMP] this message can't be read now\r\n"
            return
        head = b"+OK %d octets\r\n" % self.mailbox.sizes[index] if whole else _OK
        yield from _whole(head + first, pieces)
        if whole:
            self.fetched += 1
            self.bytes += self.mailbox.sizes[index]

    def _dele(self, rest: bytes) -> Answer:
        index = self._message(rest)
        self.mailbox.deleted[index] = 1
        self._marked += 1
        self._marked_bytes += self.mailbox.sizes[index]
        self._last = max(self._last, index + 1)
        return _OK

    def _rset(self, rest: bytes) -> Answer:
        commands.nothing(rest)
        self.mailbox.deleted = bytearray(len(self.mailbox))
        self._marked = self._marked_bytes = self._last = 0
        return _OK

    def _tell_last(self, rest: bytes) -> Answer:
        commands.nothing(rest)
        return b"+OK %d\r\n" % self._last  # qmail's: RFC 1460, gone since RFC 1725

    def _noop(self, rest: bytes) -> Answer:
        commands.nothing(rest)
        return _OK

    def _capa(self, rest: bytes) -> Answer:
        commands.nothing(rest)
        return capabilities(passwords=False)

    def _quit(self, rest: bytes) -> Answer:
        commands.nothing(rest)
        self.quitting = True
        return self._update()

    def _update(self) -> Iterator[bytes]:
        failed = 0
        for failed in self.mailbox.update():  # noqa: B007  # the last number counts
            yield b""
        self.removed = self._marked - failed
        if failed:  # RFC 1939 section 6: one answer
            yield b"-ERR [SYS/TEMP] %d deleted messages could not be removed\r\n" % failed
        else:
            yield b"+OK goodbye\r\n"

    def _message(self, rest: bytes) -> int:
        """The index of the message that an argument names. Raises Refusal."""
        which = commands.number(rest.strip())
        if not 1 <= which <= len(self.mailbox):
            raise Refusal("no such message")
        if self.mailbox.deleted[which - 1]:
            raise Refusal("this message is deleted")
        return which - 1

    _VERBS: ClassVar[dict[bytes, Callable[["Transaction", bytes], Answer]]] = {
        b"STAT": _stat,
        b"LIST": _list,
        b"UIDL": _uidl,
        b"RETR": _retr,
        b"TOP": _top,
        b"DELE": _dele,
        b"RSET": _rset,
        b"LAST": _tell_last,
        b"NOOP": _noop,
        b"CAPA": _capa,
        b"QUIT": _quit,
    }


def _whole(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """All of it, a short rest together with what is before."""
    waiting = first
    for piece in pieces:
        if len(waiting) + len(piece) > 1 << 16:
            yield waiting
            waiting = piece
        else:
            waiting += piece
    yield waiting
