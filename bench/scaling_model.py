"""What saturates first: rates from each program's CPU time a message, its processes, and the cores.  Pure.

A process is one thread of Python at a time, so it has a core at most; all of them together have the machine's.
"""

from collections.abc import Mapping
from math import ceil

Costs = Mapping[str, float]  # program -> CPU seconds a message
Processes = Mapping[str, int]  # program -> how many

CORES = "all cores"
_SPARE = 1.25
LARGEST = 64  # processes of a program that the YAML allows


def limits(costs: Costs, processes: Processes, cores: int) -> dict[str, float]:
    """Messages/s that each program's processes can do, and all cores together."""
    own = {program: processes.get(program, 1) / cost for program, cost in costs.items()}
    return {**own, CORES: cores / sum(costs.values())}


def first(limit: Mapping[str, float]) -> tuple[str, float]:
    """What saturates first, and at which rate."""
    return min(limit.items(), key=lambda one: one[1])


def enough(costs: Costs, cores: int, single: str = "queue") -> dict[str, int]:
    """Processes with which only the cores, or the program that can't be doubled, set the limit; a quarter to spare."""
    goal = min(1 / costs[single], cores / sum(costs.values()))
    others = {program: cost for program, cost in costs.items() if program != single}
    return {program: min(LARGEST, max(1, ceil(_SPARE * goal * cost - 1e-9))) for program, cost in others.items()}
