"""The IPv4 addresses of this machine's interfaces, as the kernel lists them (netdevice(7), SIOCGIFCONF)."""

import array
import fcntl
import socket
import struct

_SIOCGIFCONF = 0x8912
_ENTRY = 40  # bytes of a struct ifreq where pointers have eight: a name of 16, then a struct sockaddr_in
_MOST = 256  # addresses


def addresses() -> frozenset[str]:
    """All of them; none if the kernel does not tell."""
    room = array.array("B", bytes(_MOST * _ENTRY))
    where, length = room.buffer_info()
    try:
        # any kind of socket will do, and one of the internet is more than programs that only listen may have
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            answer = fcntl.ioctl(asked.fileno(), _SIOCGIFCONF, struct.pack("iL", length, where))
    except OSError:
        return frozenset()
    used: int = struct.unpack("iL", answer)[0]
    return frozenset(socket.inet_ntoa(room[at + 20 : at + 24].tobytes()) for at in range(0, used, _ENTRY))
