"""The public door of the configuration: a YAML file in, a configuration or all its mistakes out.

load ─▶ schema ─▶ model ─▶ rules; then compile and activate.
"""

import dataclasses
from pathlib import Path

from appliance.config import included, model, rules, schema, sound
from appliance.config.caution import warnings
from appliance.config.compile import compile_files
from appliance.config.contradiction import contradictions
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
    return parse(data, str(path), path.parent)


def parse(data: bytes, file: str, folder: Path | None = None) -> Configuration:
    """The configuration in the bytes of a file of that name. Raises ConfigError with every mistake.

    folder: where the files lie that it includes; None: nowhere.
    """
    document = load(data, file)
    found = schema.broken(document.tree)
    tree, unsound = sound.part(document.tree, found)
    configuration, wrong = included.users(model.build(schema.fill(tree)), folder)
    if wrong:
        found += wrong
        unsound = dataclasses.replace(unsound, sections=unsound.sections | {"users"})
    found += rules.broken(configuration, unsound)
    if found:
        raise ConfigError(map(document.problem, found), configuration.users.file)
    told = contradictions(configuration, document.values.__contains__)
    return dataclasses.replace(configuration, contradicted=tuple(str(document.problem(each)) for each in told))


def unchecked(data: bytes) -> Configuration:
    """The configuration in bytes that were written by ourselves, before its rules are asked. Raises ConfigError."""
    return model.build(schema.fill(load(data, "").tree))
