"""The envelope between programs: qmail-queue's own bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import envelope
from appliance.envelope import Envelope, EnvelopeError

ADDRESSES = st.binary(max_size=60).filter(lambda address: b"\0" not in address)


def test_the_bytes_are_those_that_qmail_queue_reads() -> None:
    """F sender NUL, T recipient NUL for each, NUL."""
    assert envelope.encode(b"a@b", (b"c@d", b"e@f")) == b"Fa@b\0Tc@d\0Te@f\0\0"


@given(ADDRESSES, st.lists(ADDRESSES, max_size=5), st.binary(max_size=50))
def test_an_envelope_survives_the_way_and_its_end_is_found(sender: bytes, recipients: list[bytes], rest: bytes) -> None:
    """What follows the envelope, even NULs, is not taken for a part of it."""
    data = envelope.encode(sender, recipients)
    assert envelope.decode(data + rest) == (Envelope(sender, tuple(recipients)), len(data))


@pytest.mark.parametrize("recipients", [(), (b"",), (b"", b"")])
def test_a_bounce_has_an_empty_sender_and_still_an_end(recipients: tuple[bytes, ...]) -> None:
    """Zero recipients is valid everywhere, and so is an empty sender."""
    data = envelope.encode(b"", recipients)
    assert envelope.decode(data + b"\0\0T") == (Envelope(b"", recipients), len(data))


@pytest.mark.parametrize(("sender", "recipient"), [(b"a\0b", b"c"), (b"a", b"c\0Td")])
def test_an_address_with_nul_can_not_smuggle_in_a_recipient(sender: bytes, recipient: bytes) -> None:
    """NUL separates addresses, so none may hold one."""
    with pytest.raises(EnvelopeError):
        envelope.encode(sender, (recipient,))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "nothing"),
        (b"Fa\0Tb\0", "no end"),
        (b"Xa\0Tb\0\0", "no F"),
        (b"Fa\0Xb\0\0", "no T"),
        (b"F" + b"a" * 1003 + b"\0Tb\0\0", "a sender over 1002 bytes"),
        (b"Fa\0T" + b"b" * 1003 + b"\0\0", "a recipient over 1002 bytes"),
    ],
)
def test_what_is_not_an_envelope_is_refused(data: bytes, reason: str) -> None:
    """A broken client is told so, and nothing is queued."""
    with pytest.raises(EnvelopeError):
        envelope.decode(data)


def test_addresses_of_1002_bytes_pass() -> None:
    """qmail-queue's own limit."""
    long = b"a" * 1002
    assert envelope.decode(envelope.encode(long, (long,)))[0] == Envelope(long, (long,))
