"""The doors of the queue and of the launcher, and the role token that opens one.

Landlock does not restrict who connects to a Unix socket, so every door asks for a token:
made fresh at boot, one file per role, read by a program before it locks itself in.  The
first frame on any connection is `role token`.
"""

import os
import socket
import stat
from pathlib import Path

from appliance import netstring
from appliance.state import State

# who may enter where; a program's role at the queue is its name
DOORS: dict[str, frozenset[str]] = {
    "intake": frozenset({"smtpd", "local", "inject", "qmtpd"}),
    "lease": frozenset({"local", "remote"}),
    "admin": frozenset({"admin"}),
    "launch": frozenset(
        {"programs"}
    ),  # the launcher's: `local` has programs started, by a token that opens nothing else
}
ROLES = sorted(frozenset[str]().union(*DOORS.values()))


class WrongToken(PermissionError):
    """The peer is not who it says it is."""


def make_tokens(state: State) -> None:
    """New tokens for all roles, readable by the owner only. Raises OSError."""
    state.tokens.mkdir(mode=0o700, parents=True, exist_ok=True)
    for role in ROLES:
        path = state.tokens / role
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(os.urandom(32).hex())


def read_token(state: State, role: str) -> bytes:
    """The token of a role. Raises OSError."""
    return (state.tokens / role).read_bytes()


def make(path: Path) -> socket.socket:
    """A door at which nobody waits yet: for our own uid only, or for all who come into a run/ of several users.

    Such a folder has the sticky bit (supervise/users.py). Raises OSError.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o111 if path.parent.stat().st_mode & stat.S_ISVTX else 0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    return listener


def hello(role: str, token: bytes) -> bytes:
    """The first frame a client sends."""
    return netstring.encode(role.encode() + b" " + token)


class Guard:
    """Checks hellos at one door; reads the tokens when made. Raises OSError."""

    def __init__(self, state: State, name: str) -> None:
        self.name = name
        self._tokens = {role: read_token(state, role) for role in DOORS[name]}

    def hellos(self) -> list[bytes]:
        """The first frames that open this door."""
        return [hello(role, token) for role, token in self._tokens.items()]

    def role(self, frame: bytes) -> str:
        """The role that a first frame proves. Raises WrongToken."""
        import hmac  # noqa: PLC0415  # commands, which start often, only say hello

        role, _, token = frame.partition(b" ")
        expected = self._tokens.get(role.decode("ascii", "replace"))
        if expected is None or not hmac.compare_digest(expected, token):
            raise WrongToken(f"{self.name}: wrong role token for {role[:20]!r}")
        return role.decode()
