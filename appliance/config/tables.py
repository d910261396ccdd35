"""Where an address leads by the files of a generation, decided by the code that delivers.  Pure.

For questions about a configuration before it is in force: no file is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance import dotqmail
from appliance.control import Generation
from appliance.rcpthosts import RcptHosts
from appliance.route import Routes
from appliance.users import Users


class _InMemory(Generation):
    """A generation whose control files are bytes at hand."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(Path("compiled"))
        self._bytes = files

    def read(self, name: str) -> bytes | None:
        return self._bytes.get(f"control/{name}")


@dataclass(frozen=True, slots=True)
class Way:
    """Where an address leads.

    local    not to another host
    address  as the channel sees it
    file     the dot-qmail file that is obeyed, by its path in the generation
    default  there is none, and the home gets the default delivery
    """

    local: bool
    address: bytes
    file: str | None = None
    default: str | None = None

    @property
    def nobody(self) -> bool:
        """Ours, and no such mailbox."""
        return self.local and self.file is None and self.default is None


class Tables:
    """The compiled files of a configuration. Raises ValueError if they can't be used."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        generation = _InMemory(files)
        self._files = files
        self._routes = Routes.of(generation)
        self._users = Users(files["users/cdb"])
        self.rcpthosts = RcptHosts(generation.lines("rcpthosts"))

    def way(self, address: str) -> Way:
        """Where mail to an address goes."""
        destination = self._routes.destination(address.encode())
        if not destination.local:
            return Way(False, destination.address)
        user = self._users.find(destination.address.rpartition(b"@")[0])
        if user is None:
            return Way(True, destination.address)
        home = user.home.decode("utf-8", "replace")
        for name, _ in dotqmail.search(user.dash, user.ext):
            file = f"{home}/{name.decode('utf-8', 'replace')}"
            if file in self._files:
                return Way(True, destination.address, file=file)
        return Way(True, destination.address, default=None if user.dash else home)
