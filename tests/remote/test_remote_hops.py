"""Next hops: smtproutes, and the order of mail exchangers."""

import pytest

from appliance.errors import Permanent
from appliance.remote.hops import Hop, Routes, SecureRoute, literal, relay
from appliance.remote.mx import Exchanger, candidates, usable

ROUTES = Routes(
    {
        b"partner.example": b"relay.example:26",
        b".partner.example": b"[2001:db8::1]:2525",
        b"direct.partner.example": b"",
        b"": b"smarthost.example",
    }
)


@pytest.mark.parametrize(
    ("domain", "hop", "reason"),
    [
        (b"partner.example", Hop(b"relay.example", 26, routed=True), "the whole domain"),
        (b"a.partner.example", Hop(b"2001:db8::1", 2525, routed=True), "a suffix"),
        (b"b.a.partner.example", Hop(b"2001:db8::1", 2525, routed=True), "a shorter suffix"),
        (b"direct.partner.example", Hop(b"direct.partner.example"), "an empty route is MX after all"),
        (b"other.example", Hop(b"smarthost.example", 25, routed=True), "the rest"),
    ],
)
def test_routes(domain, hop, reason):
    """The most special key wins."""
    assert ROUTES.next_hop(domain) == hop, reason
    assert Routes({}).next_hop(domain) == Hop(domain)


def test_a_route_that_needs_tls_is_never_taken_in_clear():
    """Its mail waits; more special routes without that need are not concerned."""
    routes = Routes({b"": b"smarthost.example:465", b"a.example": b"relay.example"}, frozenset({b""}))
    with pytest.raises(SecureRoute):
        routes.next_hop(b"b.example")
    assert routes.next_hop(b"a.example").host == b"relay.example"


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        (b"relay.example", b"relay.example", 25),
        (b"relay.example:26", b"relay.example", 26),
        (b"relay.example:", b"relay.example", 25),
        (b"relay.example:26x", b"relay.example", 26),
        (b"relay.example:99999", b"relay.example", 25),
        (b"192.0.2.1:26", b"192.0.2.1", 26),
        (b"[192.0.2.1]:26", b"192.0.2.1", 26),
        (b"[192.0.2.1]", b"192.0.2.1", 25),
        (b"2001:db8::1", b"2001:db8::1", 25),
        (b"[2001:db8::1]:26", b"2001:db8::1", 26),
    ],
)
def test_a_route_value_is_relay_and_port(value, host, port):
    """The port is the digits after the colon, 25 if there are none."""
    assert relay(value) == Hop(host, port, routed=True)


@pytest.mark.parametrize(
    ("host", "ip"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"[192.0.2.1]", "192.0.2.1"),
        (b"[IPv6:2001:DB8::1]", "2001:db8::1"),
        (b"[300.0.2.1]", None),
        (b"mx.example", None),
        (b"\xff", None),
    ],
)
def test_a_literal_needs_no_dns(host, ip):
    """RFC 5321 section 4.1.3; the brackets are optional."""
    assert literal(host) == ip


def test_mail_exchangers_are_sorted_and_shuffled_among_equals():
    """RFC 5321 section 5.1: lower preference first, equals at random; a `.` among others is no host."""
    records = [(20, b"c"), (10, b"a"), (10, b"b"), (30, b".")]
    ordered = candidates(records, lambda hosts: hosts.reverse())
    assert [e.host for e in ordered] == [b"b", b"a", b"c"]


def test_mail_exchangers_behind_ourselves_are_left_out():
    """Else two of them would send the mail to and fro."""
    exchangers = [Exchanger(10, b"a", ["192.0.2.1"]), Exchanger(20, b"me", []), Exchanger(20, b"b", ["192.0.2.2"])]
    assert [e.host for e in usable(exchangers, lambda e: e.host == b"me")] == [b"a"]
    with pytest.raises(Permanent):
        usable(exchangers[1:], lambda e: e.host == b"me")
