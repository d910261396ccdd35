"""YAML to plain values, with the position of every key and value.  Pure.

Smaller than YAML on purpose: `true` and `false`, decimal integers and `null` are what they
say, everything else is text, and so is every key.  Stock YAML reads 25:00 as 1500, 012 as
10 and no as false; mail has domains and names that look like that.  Duplicate keys,
anchors, tags, merge keys and a second document are refused, for a file in git must mean
what it shows.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from appliance.config.problem import TOP, ConfigError, Finding, Path, Problem, one_line, spell

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_ANCHORED = re.compile(r"[\[,:\s]&[^\s,]*\Z")
_WORDS = {"true": True, "false": False, "null": None, "": None}
_DEPTH = 20  # a deeper file is no mail.yaml, and Python's stack is finite


@dataclass(frozen=True)
class Document:
    """A YAML file as plain values.

    values  position (line, column) of the value at a path
    keys    position of the key that names it
    """

    file: str
    tree: Any
    values: dict[Path, tuple[int, int]] = field(repr=False)
    keys: dict[Path, tuple[int, int]] = field(repr=False)

    def problem(self, finding: Finding) -> Problem:
        """The finding at its path, or at the nearest thing around it that the file does hold."""
        where = finding.path
        while where not in self.values:
            where = where[:-1]
        # what stands around it is found by its key: `domains:` has no value of its own to look at
        by_key = finding.at_key or where != finding.path
        position = self.keys.get(where, self.values[where]) if by_key else self.values[where]
        return Problem(self.file, *position, spell(finding.path), finding.text)


def load(data: bytes, file: str) -> Document:
    """Read a YAML file. Raises ConfigError with all that is wrong with it as YAML."""
    text = _decode(data, file)
    return _Reader(text, file).document()


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        found = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError([Problem(file, line, column, "", found)]) from None


class _Reader:
    """One pass over the parser's events."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._problems: list[Problem] = []
        self._values: dict[Path, tuple[int, int]] = {}
        self._keys: dict[Path, tuple[int, int]] = {}

    def document(self) -> Document:
        tree = None
        documents = 0
        try:
            self._parser = yaml.CBaseLoader(self._text)
            while self._parser.check_event():
                event = self._next()
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents == 2:
                        self._wrong(event, TOP, "a second document begins here; one file holds one configuration")
                        break
                elif isinstance(event, yaml.NodeEvent):
                    tree = self._value(event, TOP)
        except yaml.MarkedYAMLError as error:
            self._problems.append(self._syntax(error))
        except yaml.reader.ReaderError as error:
            self._problems.append(self._character(error))
        if not documents and not self._problems:
            self._problems.append(Problem(self._file, 1, 1, "", "the file is empty; begin with `version: 1`"))
        if self._problems:
            raise ConfigError(self._problems)
        return Document(self._file, tree, self._values, self._keys)

    def _next(self) -> Any:
        return self._parser.get_event()

    def _wrong(self, event: Any, path: Path, text: str) -> None:
        mark = event.start_mark
        self._problems.append(Problem(self._file, mark.line + 1, mark.column + 1, spell(path) if path else "", text))

    def _value(self, event: Any, path: Path) -> Any:
        mark = event.start_mark
        self._values.setdefault(path, (mark.line + 1, mark.column + 1))
        if isinstance(event, yaml.AliasEvent):
            self._wrong(event, path, f'a YAML alias *{event.anchor}; write text that begins with * in quotes: "*…"')
            return None
        if event.anchor is not None:
            self._wrong(event, path, f'a YAML anchor &{event.anchor}; write text that begins with & in quotes: "&…"')
        if event.tag is not None:
            self._wrong(event, path, f"a YAML tag {event.tag}; remove it, or put text that begins with ! in quotes")
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else _plain(event.value)
        if len(path) > _DEPTH:
            self._wrong(event, path, f"nested deeper than {_DEPTH} levels")
            raise ConfigError(self._problems)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(event.flow_style, path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, flow: bool, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        text: Path = TOP  # the last value, if it is a text without quotes
        cut: Path = TOP
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            name = self._key(key, path)
            value = self._next()
            # in braces a comma ends a text: {password: $argon2id$m=65536,t=3} has two keys
            if flow and text and _nothing_after(key, value):
                if cut != text:
                    message = "the text is cut at its comma; put it in quotes"
                    self._problems.append(Problem(self._file, *self._values[text], spell(text), message))
                cut = text
                continue
            inner = (*path, name)
            if inner in self._keys:
                self._wrong(key, inner, f"a duplicate; the same key is in line {self._keys[inner][0]}")
                self._value(value, inner)
                continue
            self._keys[inner] = key.start_mark.line + 1, key.start_mark.column + 1
            found[name] = self._value(value, inner)
            text = inner if isinstance(value, yaml.ScalarEvent) and value.value and not value.style else TOP
        return found

    def _key(self, event: Any, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.AliasEvent):
                self._wrong(event, path, f'a YAML alias *{event.anchor} as a key; put the key in quotes: "*"')
                return f"*{event.anchor}"
            self._wrong(event, path, "a list or a mapping as a key; a key is text")
            raise ConfigError(self._problems)
        if event.anchor is not None or event.tag is not None:
            self._wrong(event, (*path, event.value), "an anchor or tag before a key; put the key in quotes")
        if event.value == "<<" and not event.style:
            self._wrong(event, (*path, "<<"), "a merge key; write the keys out")
        return str(event.value)

    def _syntax(self, error: yaml.MarkedYAMLError) -> Problem:
        mark = error.problem_mark or error.context_mark
        if "unexpected end of stream" in str(error.problem):
            mark = error.context_mark or mark
        if mark is None:
            return Problem(self._file, 1, 1, "", one_line(f"not YAML: {error}"))
        lines = self._text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        return Problem(self._file, mark.line + 1, mark.column + 1, "", _explain(line, mark.column, str(error.problem)))

    def _character(self, error: yaml.reader.ReaderError) -> Problem:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        where = self._text.find(chr(code))
        before = self._text[: max(where, 0)]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        return Problem(self._file, line, column, "", f"the character U+{code:04X} may not stand in YAML; remove it")


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.match(text) else text


def _nothing_after(key: Any, value: Any) -> bool:
    if not isinstance(value, yaml.ScalarEvent) or value.style or value.value:
        return False
    start: Any = value.start_mark
    return bool(start.index == key.end_mark.index)


def _explain(line: str, column: int, parser: str) -> str:
    """What a postmaster can do about a line the parser gave up at."""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return "a tab; indent with spaces"
    if "mapping values are not allowed" in parser:
        return (
            "found `: ` inside a text, or a key indented otherwise than its neighbours; quote the one, align the other"
        )
    if "alphabetic or numeric character" in parser or _ANCHORED.search(line[:column]):
        return "found * or & where a value begins; put the text in quotes"
    if column < len(line) and line[column] in "@`%*&|!:>":
        return f"found {line[column]} where a value begins; put the text in quotes"
    if "unexpected end of stream" in parser:
        return "a quoted text begins here and never ends; close the quotes"
    return f"not YAML here: {parser}; look for a missing quote, bracket or colon, or for uneven indentation"
