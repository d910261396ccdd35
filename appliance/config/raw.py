"""Raw control files over those that keys are compiled into.  Pure.

A raw file replaces the compiled one as a whole.  What is derived from it follows: rcpthosts, unless it is raw
itself, lists what raw locals and virtualdomains name; morercpthosts comes with its database.
"""

from collections.abc import Iterable

from appliance import rcpthosts

Control = Iterable[tuple[str, tuple[str, ...]]]


def over(own: dict[str, bytes], control: Control) -> dict[str, bytes]:
    """All control files by name: the raw ones, and of the others the compiled ones."""
    raw = dict(control)
    files = own | {name: _lines(lines) for name, lines in raw.items()}
    if "rcpthosts" not in raw and raw.keys() & {"locals", "virtualdomains"}:
        listed = set(own["rcpthosts"].decode().split()) | set(entries(raw.get("locals", ())))
        listed |= {key for key in led(raw.get("virtualdomains", ())) if key and "@" not in key}
        files["rcpthosts"] = _lines(sorted(listed))
    if "morercpthosts" in raw:
        files[rcpthosts.MORE] = rcpthosts.build(line.encode() for line in raw["morercpthosts"])
    return files


def entries(lines: Iterable[str]) -> list[str]:
    """What a list holds, in small letters."""
    return [line.rstrip(" \t").lower() for line in lines if line.strip(" \t") and line[:1] != "#"]


def led(lines: Iterable[str]) -> list[str]:
    """The keys of virtualdomains that lead somewhere; exceptions don't."""
    pairs = {key: prepend for key, colon, prepend in (line.partition(":") for line in entries(lines)) if colon}
    return [key for key, prepend in pairs.items() if prepend]


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
