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
        inner = _mapping(value) if isinstance(value, dict) else [f"- {_flow(item)}" for item in value]
        lines += [f"{name}:", *(f"  {line}" for line in inner)]
    return lines


def _flow(value: Any) -> str | None:
    """On one line; None for mappings of mappings and lists that are better read below each other."""
    if isinstance(value, dict):
        if any(isinstance(inner, dict) and inner for inner in value.values()):
            return None
        parts = [f"{_text(key)}: {_flow(inner)}" for key, inner in value.items()]
        return "{" + ", ".join(parts) + "}" if len(parts) < 4 else None
    if isinstance(value, list):
        parts = [str(_flow(item)) for item in value]
        text = "[" + ", ".join(parts) + "]"
        return text if len(text) < _WIDTH and len(parts) < 9 else None
    return str(value) if isinstance(value, int) else _text(value)


def _text(text: str) -> str:
    """As it is if it then can't be anything else, else in quotes."""
    if _PLAIN.match(text) and not _VALUES.match(text):
        return text
    return json.dumps(text, ensure_ascii=False)
