"""The control files that remote obeys."""

import pytest
from remote_parts import make_state

from appliance.control import Control
from appliance.remote.settings import Settings


def settings(folder, **control):
    return Settings.of(Control(make_state(folder, **control)).current())


def test_defaults_are_qmails(tmp_path):
    """The name is me, the connections are 20."""
    found = settings(tmp_path)
    assert (found.helo, found.concurrency, found.resolvers) == (b"mx.example.org", 20, ())


def test_several_programs_share_the_connections(tmp_path):
    """The limit is for all of them together."""
    assert settings(tmp_path, concurrencyremote="20", processes="remote:3").concurrency == 7


def test_name_servers_have_a_port(tmp_path):
    """53 if none is given; IPv6 stands in brackets."""
    found = settings(tmp_path, resolvers="192.0.2.1\n192.0.2.2:5353\n[2001:db8::1]:53\n2001:db8::2")
    assert found.resolvers == (
        *(("192.0.2.1", 53), ("192.0.2.2", 5353)),
        *(("2001:db8::1", 53), ("2001:db8::2", 53)),
    )


@pytest.mark.parametrize("control", [{"me": ""}, {"resolvers": "ns.example"}, {"resolvers": "\u00fc"}])
def test_what_can_not_be_used_is_refused(tmp_path, control):
    """The program keeps the generation it has."""
    with pytest.raises((LookupError, ValueError)):
        settings(tmp_path, **control)
