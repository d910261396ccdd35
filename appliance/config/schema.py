"""schema/mail.schema.json: what is checked by it, said in a postmaster's words, and its defaults."""

import copy
import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from appliance.config.problem import Finding, Path, nearest
from appliance.config.values import FORMATS

FILE = FilePath(__file__).resolve().parents[2] / "schema" / "mail.schema.json"

_CREDENTIALS = re.compile(r":.*@")
_TYPES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys and values",
}


@functools.cache
def schema() -> dict[str, Any]:
    """The schema. Raises OSError if it was not installed beside the programs."""
    read: dict[str, Any] = json.loads(FILE.read_bytes())
    return read


@functools.cache
def _validator() -> Draft202012Validator:
    checker = FormatChecker(formats=())
    for name, read in FORMATS.items():
        checker.checks(name, raises=ValueError)(functools.partial(_conforms, read))
    return Draft202012Validator(schema(), format_checker=checker)


def _conforms(read: Callable[[str], Any], value: object) -> bool:
    if isinstance(value, str):
        read(value)
    return True


def broken(tree: Any) -> list[Finding]:
    """Everything the schema has against a tree."""
    return list(dict.fromkeys(finding for error in _validator().iter_errors(tree) for finding in _told(error)))


def _told(error: ValidationError) -> Iterator[Finding]:
    """What one of jsonschema's errors means."""
    path: Path = tuple(error.absolute_path)
    instance: Any = error.instance
    rule: Any = error.validator_value
    part: dict[str, Any] = error.schema  # type: ignore[assignment]  # none of ours is a bare true or false
    if "propertyNames" in error.absolute_schema_path:
        yield Finding((*path, instance), f"found the name {instance!r}; {error.cause}", at_key=True)
    elif error.validator == "additionalProperties":
        for key in _unknown(instance, part):
            yield Finding((*path, key), _unknown_key(key, part), at_key=True)
    elif error.validator == "required":
        meant = {nearest(key, part["properties"]) for key in _unknown(instance, part)}
        for key in rule:  # `hostnme:` is one mistake, not an unknown key and a missing one
            if key not in instance and key not in meant:
                yield Finding((*path, key), _missing_key(key, part), at_key=True)
    else:
        yield Finding(path, f"found {_show(instance, part)}; {_right(error)}")


def _unknown(instance: dict[str, Any], part: dict[str, Any]) -> list[str]:
    return [key for key in instance if key not in part["properties"]]


def _unknown_key(key: str, part: dict[str, Any]) -> str:
    meant = nearest(key, part["properties"])
    return f"unknown key; {f'did you mean {meant}?' if meant else 'known here: ' + ', '.join(part['properties'])}"


def _missing_key(key: str, part: dict[str, Any]) -> str:
    example = part["properties"][key]["examples"][0]
    shown = example if isinstance(example, str) else json.dumps(example).replace('"', "")
    return f"the key is missing; write for example `{key}: {shown}`"


def _show(value: Any, part: dict[str, Any]) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    # where a secret may stand, or what holds one, anything may be a secret
    secret = any(each.get("writeOnly") for each in (part, *part.get("properties", {}).values()))
    if isinstance(value, str) and (secret or _CREDENTIALS.search(value)):
        return "text that is not shown here"
    if isinstance(value, int) and secret:
        return "a number that is not shown here"
    if isinstance(value, int):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 100 else f"the text {value[:100]!r}…"
    if not value:
        return "an empty list" if isinstance(value, list) else "an empty mapping"
    return "a list" if isinstance(value, list) else "a mapping"


def _right(error: ValidationError) -> str:
    rule: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "type":
            types = [rule] if isinstance(rule, str) else rule
            needed = " or ".join(_TYPES[name] for name in types if name != "null")
            if "string" in types and isinstance(instance, int):
                return _as_text(str(instance).lower(), error.schema)
            if types == ["integer"] and isinstance(instance, str) and instance.isdigit():
                return f"{needed} is needed: {instance} without quotes"
            if types == ["array"] and isinstance(instance, str):
                return f"a list is needed: [{instance}]"
            return f"{needed} is needed" + (", or no such key at all" if instance is None else "")
        case "enum":
            return f"{' or '.join(map(str, rule))} is needed"
        case "minimum":
            return f"at least {rule} is needed"
        case "maximum":
            return f"at most {rule} is possible"
        case "minItems" | "minProperties":
            return "at least one entry is needed"
        case _:  # format: the cause is the reader's own words
            return str(error.cause)


def _as_text(text: str, part: Any) -> str:
    try:
        FORMATS[part["format"]](text)
    except ValueError as error:
        return str(error)
    return f'text is needed: put it in quotes, "{text}"'


def fill(tree: Any, part: dict[str, Any] | None = None) -> Any:
    """The tree with the schema's defaults in place of what is left out."""
    part = schema() if part is None else part
    if tree is None and "object" in part.get("type", ()) and "default" not in part:
        tree = {}  # `alice:` with nothing after it is a plain mailbox
    if isinstance(tree, dict):
        properties = part.get("properties", {})
        other = part.get("additionalProperties") or {}
        full = {key: fill(value, properties.get(key, other)) for key, value in tree.items()}
        for key, inner in properties.items():
            if key not in full and "default" in inner:
                full[key] = fill(copy.deepcopy(inner["default"]), inner)
        return full
    if isinstance(tree, list):
        return [fill(item, part.get("items", {})) for item in tree]
    return tree
