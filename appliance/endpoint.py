"""An address and a port as control files write them: `192.0.2.1:25`, `[2001:db8::1]:25`."""

import ipaddress


def parse(text: bytes, port: int | None = None) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """The address and the port; `port` if the text has none. Raises ValueError."""
    whole = text.decode("ascii")
    host, colon, digits = whole.rpartition(":")
    if port is not None and (not colon or not digits.isdigit() or (":" in host and not host.startswith("["))):
        return ipaddress.ip_address(whole.strip("[]")), port
    if not digits.isdigit() or int(digits) > 65535:
        raise ValueError(f"{digits!r} is no port")
    return ipaddress.ip_address(host.strip("[]")), int(digits)
