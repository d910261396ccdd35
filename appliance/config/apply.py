"""A YAML file comes into force, or is refused and changes nothing.

Runs in a short-lived process of its own, so that the YAML and schema libraries stay out of the
memory of what keeps running.
"""

import os
from pathlib import Path

from appliance import log
from appliance.config.activate import activate
from appliance.config.gateway import gateway_warning, gateways_in
from appliance.config.pipeline import ConfigError, Problem, compile_files, read, warnings
from appliance.control import Control
from appliance.state import State

REFUSED = 2


def again(config: Path, state: State, routing: tuple[str, str], includes: int, *, refused: bool) -> int:
    """Bring a changed file into force; if it is bad, log its problems and return 2. Raises OSError.

    includes: a descriptor; the name of the file that the configuration includes is written to it
    refused: the last one was, so that this one is told even if it is what was in force all the time.
    """
    try:
        os.write(includes, (apply(config, state, routing, changed_only=not refused) or "").encode())
    except ConfigError as error:
        os.write(includes, (error.included or "").encode())
        active = Control(state).current().name
        for problem in error.problems:
            log.refused_configuration(problem, active)
        return REFUSED
    return 0


def apply(config: Path, state: State, routing: tuple[str, str], *, changed_only: bool = False) -> str | None:
    """Bring the file into force and log that, unless only a change is worth it; the file it includes, if any.

    routing: the kernel's two routing tables. Raises ConfigError, OSError.
    """
    if config.exists() and not config.is_file():  # reading a FIFO would last for ever
        raise ConfigError([Problem(str(config), 0, 0, "", "is not a file that can be read again after a change")])
    configuration = read(config)
    name, previous = activate(compile_files(configuration), state)
    if name == previous and changed_only:
        return configuration.users.file  # the same content again changes nothing
    log.follow(configuration.log_format.encode())
    log.activated(name, previous)
    for text in (*warnings(configuration), *gateway_warning(configuration, gateways_in(*routing))):
        log.configuration_warning(text)
    return configuration.users.file
