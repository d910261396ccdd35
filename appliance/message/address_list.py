"""Lists of addresses as they stand in header fields: words, comments, groups, routes (RFC 822 section 6).  Pure.

Read from right to left, for the end of an address says more than its beginning: in `Joe Blow <joe@host>` the
words before < are a phrase; where no < follows, words that no dot or @ joins are addresses of their own, and
a comma is put between them (`joe fred` is two people, as qmail has it).
"""

import re

# kinds of tokens; the others are the characters that stand for themselves
ATOM, QUOTED, LITERAL, COMMENT, PHRASE = "atom", "quoted", "literal", "comment", "phrase"
_WORDS = frozenset((ATOM, QUOTED, LITERAL, COMMENT, PHRASE))
_OF_A_PHRASE = frozenset((ATOM, QUOTED, COMMENT, ".", "@"))
_WIDTH = 80  # columns; a list is folded after commas

_TOKEN = re.compile(
    rb"""(?P<blank> [ \t\r\n]+ ) | (?P<special> [.,@<>:;] )
    | "(?P<quoted> (?: [^"\\] | \\. )* )" | \[(?P<literal> (?: [^\]\\] | \\. )* )\]
    | (?P<atom> (?: [^ \t\r\n(\["<>;:@,.\\] | \\. )+ )""",
    re.VERBOSE | re.DOTALL,
)
_IN_COMMENT = re.compile(rb"[()]|\\.", re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class AddressError(ValueError):
    """Not a list of addresses; says why, for a person."""


Token = tuple[str, bytes]  # its kind; its text without quotes and escapes (comments, literals, phrases: as written)


class Address(list[Token]):
    """One address: its tokens in their order, route included, without < and >."""

    @property
    def plain(self) -> bytes:
        """As it stands in an envelope: nothing quoted."""
        return b"".join([b"[%b]" % text if kind == LITERAL else text for kind, text in self if kind != COMMENT])


Part = Token | Address


def lex(text: bytes) -> list[tuple[str, bytes, int, int]]:
    """The tokens of a list, each with where it begins and ends. Raises AddressError."""
    tokens: list[tuple[str, bytes, int, int]] = []
    position = 0
    while position < len(text):
        if text[position] == 0x28:  # (
            end = _comment(text, position)
            tokens.append((COMMENT, text[position + 1 : end - 1], position, end))
        else:
            found = _TOKEN.match(text, position)
            if found is None:
                raise AddressError(_unfinished(text[position : position + 1]))
            end, kind, value = found.end(), found.lastgroup or "", found[found.lastgroup or 0]
            if kind == "special":
                kind = value.decode()
            elif kind in (ATOM, QUOTED) and b"\\" in value:  # an escaped character makes an atom a quoted one
                kind, value = QUOTED, _ESCAPE.sub(rb"\1", value)
            if kind != "blank":
                tokens.append((kind, value, position, end))
        position = end
    return tokens


def _comment(text: bytes, start: int) -> int:
    depth = 0
    for found in _IN_COMMENT.finditer(text, start):
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    raise AddressError("a comment that begins with ( does not end")


def _unfinished(character: bytes) -> str:
    if character == b'"':
        return "a quoted string does not end"
    return "a literal that begins with [ does not end" if character == b"[" else "a backslash at the end"


def parse(text: bytes) -> list[Part]:
    """The parts of an address list in their order: addresses, and what stands around them.

    Raises AddressError.
    """
    text = _FOLD.sub(b"", text)  # RFC 5322 section 2.2.3: a fold is its blank, in quotes too
    return _Reader(text).parts


def addresses(parts: list[Part]) -> list[Address]:
    """Those of a list, from left to right; an empty one is the null sender."""
    return [part for part in parts if isinstance(part, Address)]


class _Reader:
    """The grammar, from right to left."""

    def __init__(self, text: bytes) -> None:
        self._tokens = lex(text)
        self._out: list[Part] = []  # from right to left
        self._address: list[Token] = []  # the one being read, from right to left
        self._joins = True  # whether a word may be part of it
        self._complete = False  # something stands at the right that a comma must be put before
        self._group = False
        while self._tokens:
            self._step()
        self._flush()
        if self._group:
            raise AddressError("a group that ends with ; has no name and :")
        self.parts = self._out[::-1]

    def _step(self) -> None:
        kind, value, _, _ = self._tokens.pop()
        if kind == COMMENT:
            if self._address and not self._joins:
                if self._left() in (".", "@"):
                    self._joins = True  # it stands within the address, and comes to stand after it
                else:
                    self._flush()
            self._out.append((kind, value))
        elif kind in (".", "@"):
            self._joins = True
            self._add(kind, value)
        elif kind in _WORDS:
            if not self._joins:
                self._flush()
            self._joins = False
            self._add(kind, value)
        elif kind == ",":
            self._flush()
            self._separate()
        elif kind == ">":
            self._flush()
            self._angle()
        elif kind == ";":
            self._flush()
            self._begin_group()
        elif kind == ":" and self._group:
            self._flush()
            self._group = False
            self._out.append((":", b":"))
            self._name()
        else:
            raise AddressError(f"a {kind} that nothing opened or closes")

    def _add(self, kind: str, value: bytes) -> None:
        if not self._address and self._complete:
            self._separate()
        self._address.append((kind, value))

    def _flush(self) -> None:
        """An address has come to its beginning."""
        if self._address:
            self._out.append(Address(self._address[::-1]))
            self._address = []
            self._complete = True
        self._joins = True

    def _left(self) -> str:
        """The kind of what stands before, comments apart."""
        return next((kind for kind, _, _, _ in reversed(self._tokens) if kind != COMMENT), "")

    def _separate(self) -> None:
        self._out.append((",", b","))
        self._complete = False

    def _begin_group(self) -> None:
        if self._group:
            raise AddressError("a group within a group")
        if self._complete:
            self._separate()
        self._group = True
        self._out.append((";", b";"))

    def _angle(self) -> None:
        """An address between < and >, and the phrase before it."""
        if self._complete:
            self._separate()
        inner: list[Token] = []
        comments: list[Part] = []
        while self._tokens and self._tokens[-1][0] != "<":
            kind, value, _, _ = self._tokens.pop()
            (comments if kind == COMMENT else inner).append((kind, value))
        if not self._tokens:
            raise AddressError("a > without <")
        self._tokens.pop()
        self._out += [*comments, (">", b">"), Address(inner[::-1]), ("<", b"<")]
        self._name()

    def _name(self) -> None:
        """The phrase at the left, with blanks where it was written with blanks; it may be empty."""
        pieces: list[bytes] = []
        before = 0
        while self._tokens and self._tokens[-1][0] in _OF_A_PHRASE:
            kind, value, begin, end = self._tokens.pop()
            if pieces and end < before:
                pieces.append(b" ")
            pieces.append(_written(kind, value))
            before = begin
        if pieces:
            self._out.append((PHRASE, b"".join(reversed(pieces))))
        self._complete = True


def write(parts: list[Part], column: int) -> bytes:
    """The list as it stands in a header field whose value begins at `column`, folded after commas.

    column: how much of the first line is taken.
    """
    lines: list[bytes] = []
    line = b""
    for segment in _segments(parts):
        joined = line + b" " + segment if line else segment
        if line and (len(joined) if lines else column + len(joined)) > _WIDTH:
            lines.append(line)
            joined = b"  " + segment
        line = joined
    return b"\n".join([*lines, line])


def _segments(parts: list[Part]) -> list[bytes]:
    """What stands between two commas, each with its comma."""
    segments: list[bytes] = []
    pieces: list[bytes] = []
    before = ""
    for part in parts:
        for kind, text in part if isinstance(part, Address) else (part,):
            if _apart(before, kind):
                pieces.append(b" ")
            pieces.append(_written(kind, text))
            before = kind
        if before == ",":
            segments.append(b"".join(pieces))
            pieces, before = [], ""
    return [*segments, b"".join(pieces)] if pieces else segments


def _apart(before: str, kind: str) -> bool:
    """Whether two tokens have a blank between them."""
    return before == ":" or (kind == "<" and before != "") or (before in _WORDS | {">"} and kind in _WORDS)


def _written(kind: str, text: bytes) -> bytes:
    if kind == QUOTED:
        return b'"%b"' % re.sub(rb'(["\\])', rb"\\\1", text)
    if kind == COMMENT:
        return b"(%b)" % text
    return b"[%b]" % text if kind == LITERAL else text
