"""What of a long list is tried today, for all of it would take the suite too long; `make crash` and `make faults` try everything."""

import os
import time
from collections.abc import Sequence
from typing import TypeVar

_Any = TypeVar("_Any")
ENV = "TESTS_SHARE"  # a number instead of the day's, or `all`


def share(of: int) -> tuple[int, int]:
    """Which part of how many."""
    wanted = os.environ.get(ENV, "")
    return (0, 1) if wanted == "all" else (int(wanted or time.time() // 86400) % of, of)


def todays(everything: Sequence[_Any], of: int) -> list[_Any]:
    """Every `of`th, beginning with another one each day."""
    number, of = share(of)
    return list(everything[number::of])
