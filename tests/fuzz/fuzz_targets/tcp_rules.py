"""tcpserver's rules: networks that may be keys of relay.allow_from, and notes; no rule makes anybody more welcome than it did."""

import ipaddress

from appliance.config import values
from appliance.config.qmail import tcprules

WORDS = (
    b':allow,RELAYCLIENT=""\n',
    b":deny\n",
    b"10.",
    b"1.2.3-9.",
    b"10.0.0.0/8",
    b"0-255.",
    b"=host",
    b"::1",
    b"#",
    b"9" * 3,
)


def target(data: bytes) -> None:
    notes: list[str] = []
    found = [ipaddress.ip_network(each) for each in tcprules.networks(data, notes)]
    assert len(found) <= 1024 * data.count(b"RELAYCLIENT")
    assert not found or b"allow" in data
    for net in found[:20]:
        values.network(str(net))
