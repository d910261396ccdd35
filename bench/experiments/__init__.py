"""The experiments, one module each, in the order of the report."""

from importlib import import_module
from importlib.util import find_spec
from typing import cast

from bench.experiment import Experiment

_ORDER = ("commits", "sizes", "sessions", "backlog", "slow_disk", "destinations", "scaling")

EXPERIMENTS = {
    name: cast(Experiment, import_module(f"{__name__}.{name}")) for name in _ORDER if find_spec(f"{__name__}.{name}")
}
