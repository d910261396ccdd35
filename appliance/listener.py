"""A listening socket, for every program that serves the network."""

import resource
import socket

from appliance import endpoint, log


def listen(address: bytes, *, shared: bool = True) -> socket.socket:
    """Listen on `host:port`, IPv6 in brackets; shared: by processes of one program. Raises OSError, ValueError."""
    ip, port = endpoint.parse(address)
    listener = socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        if ip.version == 6:  # [::] is every address, IPv4's too, whatever the system's default
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((str(ip), port))
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def allow_many_sessions(wanted: int = 0) -> None:
    """As many descriptors as we may have: the soft limit is often 1,024, and a session needs one; a warning if too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning(f"the limit of open files is {hard}; {wanted} may be needed")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning(f"the limit of open files can't be raised: {error}")
