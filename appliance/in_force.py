"""The settings that a program serves under: those of the active generation, read anew when another one is activated."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from appliance import log
from appliance.control import Control, Generation
from appliance.state import State


class _Settings(Protocol):
    """What a program reads of one generation."""

    generation: Generation


_Read = TypeVar("_Read", bound=_Settings)


class InForce(Generic[_Read]):
    """One program's settings.

    read: makes them of a generation; settings: the last that could be used; trouble: why the active
    generation's files can't be, empty if they can.  Raises what `read` raises, as long as there are none at all.
    """

    def __init__(self, state: State, read: Callable[[Generation], _Read]) -> None:
        self._control = Control(state)
        self._read = read
        self.settings = read(self._control.current())
        self.trouble = ""

    def current(self) -> _Read | None:
        """The settings in force; None if the active generation's files can't be used."""
        try:
            generation = self._control.current()
            if generation is not self.settings.generation:
                self.settings = self._read(generation)
        except (OSError, LookupError, ValueError) as error:
            if str(error) != self.trouble:  # once, not for every client
                log.trouble("the configuration can't be used, clients are told to come back", error)
                self.trouble = str(error)
            return None
        self.trouble = ""
        return self.settings
