"""Addresses that did not answer."""

from appliance.remote import silent
from appliance.remote.silent import Silent


def test_a_silent_address_is_left_alone_for_longer_and_longer():
    """60 s, 120 s, … up to an hour; an answer of any kind forgets it all."""
    addresses, now, key = Silent(), 1000.0, ("192.0.2.1", 25)
    assert not addresses.skip(key, now)
    for pause in (60, 120, 240, 480, 960, 1920, 3600, 3600):
        addresses.timed_out(key, now)
        assert addresses.skip(key, now + pause - 1)
        now += pause
        assert not addresses.skip(key, now)
    addresses.answered(key)
    addresses.timed_out(key, now)
    assert not addresses.skip(key, now + 60)


def test_only_so_many_are_remembered():
    """The oldest is forgotten."""
    addresses = Silent()
    for n in range(silent.KEPT + 1):
        addresses.timed_out((f"192.0.2.{n}", 25), 0.0)
    assert not addresses.skip(("192.0.2.0", 25), 1.0)
    assert addresses.skip(("192.0.2.1", 25), 1.0)


def test_time_outs_side_by_side_count_once():
    """Five connections that were tried at the same time are one silence."""
    addresses = Silent()
    for _ in range(5):
        addresses.timed_out(("192.0.2.1", 25), 10.0)
    assert addresses.known["192.0.2.1", 25].count == 1
    assert not addresses.skip(("192.0.2.1", 25), 71.0)


def test_the_operator_may_forget_them_all():
    """What qmail-tcpok does: they are tried at once."""
    addresses = Silent()
    addresses.timed_out(("192.0.2.1", 25), 10.0)
    addresses.forget()
    assert not addresses.skip(("192.0.2.1", 25), 11.0)
    assert addresses.changed
