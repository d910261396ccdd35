"""The public door of the configuration: a YAML file in, a configuration or all its mistakes out.

load ─▶ schema ─▶ model ─▶ rules; then compile and activate.
"""

from pathlib import Path

from appliance.config import model, rules, schema, sound
from appliance.config.caution import warnings
from appliance.config.compile import compile_files
from appliance.config.gateway import gateway_warning
from appliance.config.generation import generation_name
from appliance.config.load import load
from appliance.config.model import Configuration
from appliance.config.problem import ConfigError, Problem

__all__ = [
    "ConfigError",
    "Configuration",
    "Problem",
    "compile_files",
    "gateway_warning",
    "generation_name",
    "parse",
    "read",
    "warnings",
]


def read(path: Path) -> Configuration:
    """The configuration in a file. Raises ConfigError, also for a file that can't be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError([Problem(str(path), 0, 0, "", f"can't be read: {reason}")]) from error
    return parse(data, str(path))


def parse(data: bytes, file: str) -> Configuration:
    """The configuration in the bytes of a file of that name. Raises ConfigError with every mistake."""
    document = load(data, file)
    found = schema.broken(document.tree)
    tree, unsound = sound.part(document.tree, found)
    configuration = model.build(schema.fill(tree))
    found += rules.broken(configuration, unsound)
    if found:
        raise ConfigError(map(document.problem, found))
    return configuration
