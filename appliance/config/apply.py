"""A YAML file comes into force, or is refused and changes nothing.

Runs in a short-lived process of its own, so that the YAML and schema libraries stay out of the
memory of what keeps running.
"""

from pathlib import Path

from appliance import log
from appliance.config.activate import activate
from appliance.config.gateway import gateway_warning, gateways_in
from appliance.config.pipeline import ConfigError, Problem, compile_files, read, warnings
from appliance.control import Control
from appliance.state import State

REFUSED = 2


def again(config: Path, state: State, routing: tuple[str, str], *, refused: bool) -> int:
    """Bring a changed file into force; if it is bad, log its problems and return 2. Raises OSError.

    refused: the last one was, so that this one is told even if it is what was in force all the time.
    """
    try:
        apply(config, state, routing, changed_only=not refused)
    except ConfigError as error:
        active = Control(state).current().name
        for problem in error.problems:
            log.refused_configuration(problem, active)
        return REFUSED
    return 0


def apply(config: Path, state: State, routing: tuple[str, str], *, changed_only: bool = False) -> None:
    """Bring the file into force and log that, unless only a change is worth it.

    routing: the kernel's two routing tables. Raises ConfigError, OSError.
    """
    if config.exists() and not config.is_file():  # reading a FIFO would last for ever
        raise ConfigError([Problem(str(config), 0, 0, "", "is not a file that can be read again after a change")])
    configuration = read(config)
    name, previous = activate(compile_files(configuration), state)
    if name == previous and changed_only:
        return  # the same content again changes nothing
    log.activated(name, previous)
    for text in (*warnings(configuration), *gateway_warning(configuration, gateways_in(*routing))):
        log.configuration_warning(text)
