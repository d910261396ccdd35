"""docs/configuration.md, written from the schema: `python -m appliance.config.reference > docs/configuration.md`."""

import json
from collections.abc import Iterator
from typing import Any

from appliance.config.schema import schema

HEAD = """# Configuration

Every key of `mail.yaml`, from `schema/mail.schema.json` (this page is generated from it). `paperpath check FILE` says what is wrong
with a file; `paperpath compile FILE --out DIR` shows the control files it becomes. Text that begins with one of `* & | @ [ { ! % >` or
holds `: ` or a comma in braces goes in quotes. A word in `<>` stands for a name of yours.
A duration is a number with s, m, h, d or w; a size is a number with B, kB, MB, GB, KiB, MiB or GiB.

A changed file takes effect by itself, for SMTP sessions and delivery attempts that begin after it. A changed `listen` or
changed `routes` start smtpd or remote again, one process after another, and what they have in hand is finished. `hardening` counts at the next start.
"""

_UNITS = {
    "duration-with-unit": "duration, such as 20m or 7d",
    "message-size": "size, such as 50MiB",
    "queue-size": "size, such as 20GiB",
    "returned-size": "size, such as 50kB",
    "duration-or-end": "duration, such as 20m or 7d, or `end`",
    "duration-or-never": "duration, such as 20m or 7d, or `never`",
    "network": "network, such as 10.0.0.0/8",
    "ip-address": "IP address",
    "mail-address": "mail address",
    "host-name": "host name",
    "file-path": "absolute path",
    "delivery-line": "dot-qmail line",
    "alias-target": "name or mail address",
    "alias-line": "name, mail address or dot-qmail line",
    "relative-path": "relative path",
}
_NAMES = {
    "domains": "<domain>",
    "mailboxes": "<mailbox>",
    "extensions": "<extension>",
    "aliases": "<alias>",
    "lists": "<list>",
    "homes": "<home>",
    "<home>": "<file>",
    "control": "<file>",
}
_WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false", "array": "list", "object": "keys"}


def page() -> str:
    """The whole page."""
    rows = [_row(*key) for key in _keys("", schema())]
    return "\n".join([HEAD, "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _row(path: str, part: dict[str, Any], required: bool) -> str:
    cells = (f"`{path}`", _kind(part), _default(part, required), part["description"])
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _keys(path: str, part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    for key, inner in part.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        yield below, inner, key in part.get("required", ())
        yield from _keys(below, inner)
    other = part.get("additionalProperties")
    if isinstance(other, dict):
        below = f"{path}.{_NAMES[path.rpartition('.')[2]]}"
        yield below, other, False
        yield from _keys(below, other)
    items = part.get("items", {})
    if "properties" in items:
        yield f"{path}[]", items, False
        yield from _keys(f"{path}[]", items)


def _kind(part: dict[str, Any]) -> str:
    types = [part["type"]] if isinstance(part["type"], str) else part["type"]
    if "enum" in part:
        return " or ".join(f"`{value}`" for value in part["enum"])
    if part.get("format") == "secret":
        types = ["object"]  # text is only allowed for so that it can be refused without showing it
    words = [_word(name, part) for name in types if name != "null"]
    text = " or ".join(words)
    if "minimum" in part:
        text += f", {part['minimum']} to {part['maximum']}"
    return text


def _word(name: str, part: dict[str, Any]) -> str:
    if name == "array":
        item = part["items"]
        return f"list of: {_kind(item)}" if "properties" not in item else "list of keys"
    if name == "string":
        return _UNITS.get(part.get("format", ""), "text")
    return _WORDS[name]


def _default(part: dict[str, Any], required: bool) -> str:
    if required:
        return "must be given"
    default = part.get("default")
    return "" if default is None or default == {} else f"`{json.dumps(default)}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201  # this is what it is for
