"""Does a recipient exist?  From users/assign and the dot-qmail names, as delivery would find it.

smtpd asks at RCPT, so that a message nobody can receive is refused instead of bounced to
a forged sender.
"""

import errno
import os
from enum import Enum

from appliance import dotqmail
from appliance.control import Generation
from appliance.route import Routes
from appliance.users import Users


class Standing(Enum):
    """What this host knows about a recipient."""

    HERE = "delivered here"
    UNKNOWN = "a domain of ours, no such mailbox"
    ELSEWHERE = "another host's"
    BEHIND = "another host's, named behind a % in an address of ours (percenthack)"


class Recipients:
    """The recipients of one generation. Raises OSError, ValueError if its files can't be read."""

    def __init__(self, generation: Generation) -> None:
        self._routes = Routes.of(generation)
        self._users = Users.of(generation)
        self._folder = bytes(generation.folder)

    def standing(self, recipient: bytes) -> Standing:
        """What is known about a recipient. Raises OSError, ValueError."""
        destination = self._routes.destination(recipient)
        if not destination.local:
            return Standing.ELSEWHERE if destination.address == recipient else Standing.BEHIND
        local = destination.address.rpartition(b"@")[0]
        user = self._users.find(local) if local else None
        if user is None:
            return Standing.UNKNOWN
        if not user.dash:
            return Standing.HERE  # the default delivery at least
        home = self._folder + b"/" + user.home + b"/"
        for name, _ in dotqmail.search(user.dash, user.ext):
            if _exists(home + name):
                return Standing.HERE
        os.stat(self._folder)  # a generation that was removed under a long session knows nobody: OSError, temporary
        return Standing.UNKNOWN


def _exists(path: bytes) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return False
        raise
    return True
