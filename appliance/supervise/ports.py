"""Are the ports free?  Asked once before anything runs.

The smtpd processes share their port (SO_REUSEPORT), and so would another Paperpath of the same
user with another state folder: each would get half of the mail, silently.  A socket that does
not share finds out.
"""

import errno
import socket

from appliance import endpoint
from appliance.control import Generation
from appliance.supervise.programs import SERVED


def taken(generation: Generation) -> list[str]:
    """Why listeners can't be had, a sentence each. Raises ValueError for a damaged control/listen."""
    listeners = generation.mapping("listen")
    return [why for name in sorted(SERVED) if (where := listeners.get(name.encode())) and (why := _taken(where))]


def _taken(where: bytes) -> str:
    ip, port = endpoint.parse(where)
    with socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may linger
        try:
            probe.bind((str(ip), port))
        except OSError as error:
            return f"can't listen on {where.decode()}: {error.strerror}{_HINTS.get(error.errno or 0, '')}"
    return ""


_HINTS = {
    errno.EACCES: " (ports below 1024 need a right that Paperpath does without: listen above and map the port)",
    errno.EADDRINUSE: " (another mail server, or another Paperpath, has it)",
    errno.EADDRNOTAVAIL: " (no interface of this machine has that address)",
}
