"""Plain values as YAML that reads back as the same values, laid out for people.  Pure."""

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./@+-]*\Z")
_VALUES = re.compile(r"(?:true|false|null|-?[0-9]+)\Z")
_WIDTH = 100


def yaml(tree: dict[str, Any]) -> str:
    """A mapping as a YAML document."""
    return "".join(f"{line}\n" for line in _mapping(tree))


def _mapping(tree: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for key, value in tree.items():
        short = _flow(value)
        name = _text(key)
        if short is not None and len(name) + len(short) < _WIDTH:
            lines.append(f"{name}: {short}")
            continue
        inner = _mapping(value) if isinstance(value, dict) else [f"- {_item(item)}" for item in value]
        lines += [f"{name}:", *(f"  {line}" for line in inner)]
    return lines


def _item(value: Any) -> str:
    """A line of a list: a text, a number, or a short mapping, however wide."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_item(inner)}" for key, inner in value.items()) + "}"
    return _scalar(value)


def _flow(value: Any) -> str | None:
    """On one line; None for mappings of mappings and what is better read below each other."""
    if isinstance(value, dict):
        if len(value) > 3 or any(isinstance(inner, dict) and inner for inner in value.values()):
            return None
        parts = [(_text(key), _flow(inner)) for key, inner in value.items()]
        return (
            None
            if any(inner is None for _, inner in parts)
            else _joined("{}", [f"{key}: {inner}" for key, inner in parts])
        )
    if isinstance(value, list):
        items = [_flow(item) for item in value]
        return None if len(items) > 8 else _joined("[]", [str(item) for item in items])
    return _scalar(value)


def _joined(brackets: str, parts: list[str]) -> str | None:
    text = brackets[0] + ", ".join(parts) + brackets[1]
    return text if len(text) < _WIDTH else None


def _scalar(value: str | int) -> str:
    """A text, a number, true or false."""
    return _text(value) if isinstance(value, str) else str(value).lower()


def _text(text: str) -> str:
    """As it is if it then can't be anything else, else in quotes."""
    if _PLAIN.match(text) and not _VALUES.match(text):
        return text
    return json.dumps(text, ensure_ascii=False)
