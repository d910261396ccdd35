"""How often a message was handed on: its trace lines, by which a loop is found.  Pure."""

# qmail counts these as hops, by prefix and in either case
_TRACES = (b"\nreceived", b"\ndelivered")
_LONGEST = max(map(len, _TRACES))


class Hops:
    """Counts the trace lines of a header that comes in pieces."""

    __slots__ = ("_in_header", "_tail", "count")

    def __init__(self) -> None:
        self.count = 0
        self._in_header = True
        self._tail = b"\n"  # a trace in the first line counts, too

    def feed(self, lines: bytes) -> None:
        """A piece, its line ends LF."""
        if not self._in_header:
            return
        text = self._tail + lines
        blank = text.find(b"\n\n")
        if blank >= 0:
            text = text[: blank + 1]
            self._in_header = False
        text = text.lower()
        for trace in _TRACES:
            self.count += text.count(trace) - self._tail.count(trace)
        self._tail = text[1 - _LONGEST :]
