"""Are the ports free?  Asked once before anything runs.

The smtpd processes share their port (SO_REUSEPORT), and so would another Paperpath of the same
user with another state folder: each would get half of the mail, silently.  A socket that does
not share finds out.
"""

import errno
import ipaddress
import socket

from appliance.control import Generation

SERVED = ("smtp",)  # listeners that a program serves so far


def taken(generation: Generation) -> list[str]:
    """Why listeners can't be had, a sentence each. Raises ValueError for a damaged control/listen."""
    listeners = generation.mapping("listen")
    return [why for name in SERVED if (why := _taken(listeners.get(name.encode(), b"").decode("ascii")))]


def _taken(where: str) -> str:
    if not where:
        return ""
    host, _, port = where.rpartition(":")
    ip = ipaddress.ip_address(host.strip("[]"))
    with socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may linger
        try:
            probe.bind((str(ip), int(port)))
        except OSError as error:
            return f"can't listen on {where}: {error.strerror}{_HINTS.get(error.errno or 0, '')}"
    return ""


_HINTS = {
    errno.EACCES: " (ports below 1024 need a right that Paperpath does without: listen above and map the port)",
    errno.EADDRINUSE: " (another mail server, or another Paperpath, has it)",
    errno.EADDRNOTAVAIL: " (no interface of this machine has that address)",
}
