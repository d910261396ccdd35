"""Where a message's header ends, and its fields: for messages as people and programs write them.  Pure.

Lenient, as qmail-inject is: a line that can't be a field ends the header and begins the body.
"""

import re

LIMIT = 8 * 1024 * 1024  # bytes; the rest of a message may have any size

# RFC 5322 section 3.6.8: printable ASCII but the colon; blanks before the colon are section 4.5's
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")


class HeaderTooLargeError(ValueError):
    """A header of more than LIMIT bytes."""

    def __init__(self) -> None:
        super().__init__(f"the header has more than {LIMIT // 1024 // 1024} MiB")


def name(field: bytes) -> bytes:
    """A field's name in lower case; empty if it is none."""
    found = _NAME.match(field)
    return found[1].lower() if found else b""


def value(field: bytes) -> bytes:
    """What stands after the colon, folds included, the line's end not."""
    return field.partition(b":")[2].removesuffix(b"\n")


class Splitter:
    """Header fields out of a message that arrives in pieces.

    fields   those that are complete, in order, each with its folds and a line end
    blank    whether a blank line ended the header
    """

    def __init__(self) -> None:
        self.fields: list[bytes] = []
        self.blank = False
        self._lines: list[bytes] = []  # of the last field
        self._rest = b""  # a line without its end
        self._size = 0

    def feed(self, data: bytes) -> bytes | None:
        """Add a piece; the beginning of the body once it is there, else None. Raises HeaderTooLargeError."""
        self._size += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for number, line in enumerate(lines):
            if not self._take(line):
                self.blank = not line
                self._close()
                return b"\n".join([*lines[number + self.blank :], self._rest])
        if self._size > LIMIT:
            raise HeaderTooLargeError
        return None

    def end(self) -> bytes:
        """There is no more: the body's beginning, if the last line was not the header's."""
        last, self._rest = self._rest, b""
        taken = not last or self._take(last)
        self._close()
        return b"" if taken else last

    def _take(self, line: bytes) -> bool:
        """Whether this line belongs to the header."""
        if line[:1] in (b" ", b"\t") and self._lines:
            self._lines.append(line)
            return True
        if line.startswith(b"From "):  # what an mbox puts before a message
            line = b"MBOX-Line: " + line
        if not _NAME.match(line):
            return False
        self._close()
        self._lines = [line]
        return True

    def _close(self) -> None:
        if self._lines:
            self.fields.append(b"\n".join(self._lines) + b"\n")
            self._lines = []
