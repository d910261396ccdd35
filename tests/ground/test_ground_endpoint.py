"""Addresses and ports as control files write them."""

from ipaddress import ip_address

import pytest

from appliance import endpoint


@pytest.mark.parametrize(
    ("text", "default", "address", "port", "reason"),
    [
        (b"127.0.0.1:2525", None, "127.0.0.1", 2525, "a listener"),
        (b"[::1]:2525", None, "::1", 2525, "IPv6 stands in brackets"),
        (b"192.0.2.1", 53, "192.0.2.1", 53, "no port: the default"),
        (b"192.0.2.1:5353", 53, "192.0.2.1", 5353, "a port of its own"),
        (b"2001:db8::1", 53, "2001:db8::1", 53, "IPv6 without brackets has no port"),
        (b"[2001:db8::1]:5353", 53, "2001:db8::1", 5353, "with brackets it may have one"),
    ],
)
def test_an_endpoint_is_an_address_and_a_port(text, default, address, port, reason):
    """The port is what follows the last colon, unless the colon is the address's own."""
    assert endpoint.parse(text, default) == (ip_address(address), port), reason


@pytest.mark.parametrize(
    "text",
    [b"", b"127.0.0.1", b"mx.example.org:25", b"127.0.0.1:smtp", b"\xff:25", b"127.0.0.1:65536", b"127.0.0.1:+25"],
)
def test_anything_else_is_refused(text):
    """A listener names an address and a port, and names of hosts are none."""
    with pytest.raises(ValueError, match=r"."):
        endpoint.parse(text)
