"""Each program locks itself in at start (stub until the real one lands)."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Rules:
    """What a program may still do."""

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    bind: tuple[int, ...] = ()
    connect: tuple[int, ...] = ()


def lock(rules: Rules) -> list[str]:  # noqa: ARG001  # stub
    """What the kernel lacks."""
    return []
