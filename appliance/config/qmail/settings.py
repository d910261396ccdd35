"""The control files of a qmail host as keys of ours, or as they are.  Pure."""

from collections.abc import Callable
from typing import Any

from appliance.config import values
from appliance.config.control_files import KNOWN
from appliance.config.qmail.root import show
from appliance.config.qmail.tree import Tree

# kept raw only where the keys don't compile to the same
COMPARED = frozenset({"doublebounceto", "doublebouncehost"})
_ROUTING = {"me", "locals", "virtualdomains", "rcpthosts", "smtproutes", "defaultdelivery"}
# with a key of ours: its place, the least and the most it takes, how it is written
_NUMBERS: tuple[tuple[str, tuple[str, ...], int, int, Callable[[int], Any]], ...] = (
    ("databytes", ("limits", "message_size"), 65536, 1 << 31, lambda number: f"{number}B"),
    ("queuelifetime", ("queue", "lifetime"), 1, 10 * 365 * 86400, lambda number: f"{number}s"),
    ("concurrencylocal", ("queue", "concurrency", "local"), 0, 1000, int),
    ("concurrencyremote", ("queue", "concurrency", "remote"), 0, 1000, int),
    ("timeoutsmtpd", ("timeouts", "smtpd"), 1, 10 * 365 * 86400, lambda number: f"{number}s"),
    ("timeoutremote", ("timeouts", "remote"), 1, 10 * 365 * 86400, lambda number: f"{number}s"),
    ("timeoutconnect", ("timeouts", "connect"), 1, 10 * 365 * 86400, lambda number: f"{number}s"),
)


def line(tree: Tree, name: str) -> str:
    """The first line of a control file; nothing if there is none."""
    return show(tree.control.get(name, b"").split(b"\n")[0].rstrip(b" \t"))


def entries(tree: Tree, name: str) -> list[str]:
    """The lines of a list."""
    stripped = (each.rstrip(b" \t") for each in tree.control.get(name, b"").split(b"\n"))
    return [show(each) for each in stripped if each and each[:1] != b"#"]


def mapping(tree: Tree, name: str) -> dict[str, str]:
    """The pairs of a map; the last of equal keys wins."""
    pairs = (each.partition(":") for each in entries(tree, name))
    return {key.lower(): value for key, colon, value in pairs if colon}


def hostname(me: str, notes: list[str]) -> str:
    """`hostname`, from me."""
    try:
        return values.hostname(me)
    except ValueError as error:
        notes.append(f"control/me: {me}: {error}; control.me says it now, and `hostname` needs a better one")
        return "unknown.invalid"


def keys(tree: Tree, notes: list[str]) -> dict[str, Any]:
    """What keys of ours say: numbers, routes."""
    found: dict[str, Any] = {}
    for name, path, least, most, write in _NUMBERS:
        text = line(tree, name)
        if text.isdigit() and least <= int(text) <= most:
            inner = found
            for key in path[:-1]:
                inner = inner.setdefault(key, {})
            inner[path[-1]] = write(int(text))
    if "databytes" not in tree.control:
        notes.append(
            "control/databytes: there is none, so mail of any size was taken; limits.message_size has its default"
        )
    routes = _routes(tree)
    if routes:
        found["routes"] = routes
    return found


def _routes(tree: Tree) -> list[dict[str, str]] | None:
    """`routes`, or None: they are not all of a form that it has."""
    found: list[dict[str, str]] = []
    for key, relay in mapping(tree, "smtproutes").items():
        domain = f"*{key}" if key[:1] == "." else key or "*"
        via = f"smtp://{relay.removesuffix(':')}" if relay else "mx"
        try:
            values.route_domain(domain)
            values.via(via)
        except ValueError:
            return None
        found.append({"domain": domain, "via": via})
    return found


def raw(tree: Tree, notes: list[str]) -> dict[str, Any]:
    """The files that stay as they are; lines that no reader takes are left out and told."""
    found: dict[str, Any] = {}
    numbers = {name: (least, most) for name, _, least, most, _ in _NUMBERS}
    for name in sorted(tree.control):
        if name in numbers:
            text = line(tree, name)
            least, most = numbers[name]
            if text.isdigit() and not least <= int(text) <= most:
                found[name] = int(text)
            elif not text.isdigit():
                notes.append(f"control/{name}: {text!r} is no number, so qmail used its default; left out")
        elif name == "morercpthosts.cdb" and "morercpthosts" not in tree.control:
            notes.append(
                "control/morercpthosts.cdb: there is no morercpthosts that it was made from; its domains are missing"
            )
        elif name in KNOWN and name not in _ROUTING | COMPARED:
            _known(tree, name, found, notes)
        elif name not in KNOWN and name != "morercpthosts.cdb":
            notes.append(f"control/{name}: not a file of qmail's own; not carried over")
    if "smtproutes" in tree.control and _routes(tree) is None:
        _known(tree, "smtproutes", found, notes)
    if line(tree, "me") and hostname(line(tree, "me"), []) == "unknown.invalid":
        found["me"] = line(tree, "me")
    return found


def _known(tree: Tree, name: str, found: dict[str, Any], notes: list[str]) -> None:
    kind = KNOWN[name]
    kept = fitting(name, entries(tree, name) if kind.many else [line(tree, name)], notes)
    if kind.many:
        found[name] = kept
    elif kept:
        found[name] = kept[0]


def fitting(name: str, lines: list[str], notes: list[str]) -> list[str]:
    """Those lines of a control file that its reader takes; the others are told."""
    kept: list[str] = []
    for each in lines:
        try:
            KNOWN[name].read(values.control_line(each))
        except ValueError as error:
            notes.append(f"control/{name}: left out: {each} ({error})")
        else:
            kept.append(each)
    return kept
