"""Stub."""

from collections.abc import Iterator

from appliance.config.model import Configuration
from appliance.config.problem import Path
from appliance.config.sound import Unsound


def broken(configuration: Configuration, unsound: Unsound) -> Iterator[tuple[Path, str, bool]]:
    yield from ()
