"""The part of a faulty document that can still be checked further, so that all mistakes are told at once.  Pure.

A key with a mistake is taken out, or emptied where others may refer to it; what was taken
out is noted, so that no rule complains about the absence of what is only misspelt.
"""

from dataclasses import dataclass
from typing import Any

from appliance.config.problem import Finding

_STAND_IN = {"hostname": "unknown.invalid", "domains": {}}
_EMPTY: dict[str, Any] = {"mailboxes": {}, "aliases": []}


@dataclass(frozen=True, slots=True)
class Unsound:
    """What rules must not rely on: top-level keys, and domains by their key."""

    sections: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()


def part(tree: Any, mistakes: list[Finding]) -> tuple[dict[str, Any], Unsound]:
    """The tree without the mistakes, and what is missing from it."""
    if not mistakes:
        return tree, Unsound()
    sections: set[str] = set()
    domains: set[str] = set()
    rest: dict[str, Any] = dict(tree) if isinstance(tree, dict) else {}
    if not rest:
        sections.update(_STAND_IN)
    for mistake in mistakes:
        path = mistake.path
        if path and (path[0] != "domains" or len(path) == 1):
            sections.add(str(path[0]))
            rest.pop(str(path[0]), None)
        elif path:
            rest["domains"] = _domains(rest.get("domains", {}), mistake, domains)
    for key, stand_in in _STAND_IN.items():
        if key not in rest:
            sections.add(key)
            rest[key] = stand_in
    return rest, Unsound(frozenset(sections), frozenset(domains))


def _domains(tree: dict[str, Any], mistake: Finding, unsound: set[str]) -> dict[str, Any]:
    _, name, *inner = map(str, mistake.path)
    if not isinstance(tree.get(name), dict) or not inner:
        unsound.add(name)
        return {key: value for key, value in tree.items() if key != name}
    domain = dict(tree[name])
    kind = inner[0]
    if len(inner) == 1 or kind not in _EMPTY:
        unsound.add(name)
        domain.pop(kind, None)
    elif mistake.at_key and len(inner) == 2:  # a name that can't be one, though others may refer to it
        unsound.add(name)
        domain[kind] = {key: value for key, value in domain.get(kind, {}).items() if key != inner[1]}
    elif inner[1] in domain.get(kind, {}):
        domain[kind] = {**domain[kind], inner[1]: _EMPTY[kind]}
    return {**tree, name: domain}
