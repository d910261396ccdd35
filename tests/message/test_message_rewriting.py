"""What becomes of an address that people write: a full host name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.message.address_list import Address, addresses, parse, write
from appliance.message.rewriting import Hosts, raw, rewrite

HOSTS = Hosts(b"host", b"dom", b"plus")


def rewritten(text: bytes) -> bytes:
    return write([rewrite(part, HOSTS) if isinstance(part, Address) else part for part in parse(text)], 4)


@pytest.mark.parametrize(
    ("written", "sent", "rule"),
    [
        (b"joe, fred@mac, eric@cs+", b"joe@host.dom, fred@mac.dom, eric@cs.plus", "the example of the contracts"),
        (b"joe@a.b", b"joe@a.b", "a full address stays"),
        (b"joe@[127.0.0.1]", b"joe@[127.0.0.1]", "a literal is a full host"),
        (b"joe@[]", b"joe@[]", "the empty literal is untouched"),
        (b"#@[]", b"#@[]", "so a double bounce's sender is"),
        (b"<>", b"<>", "empty stays empty"),
        (b"<@a.a,@b.b:joe@c.c>", b"<joe@c.c>", "1: the route goes"),
        (b"<@a.a:joe>", b"<joe@host.dom>", "1: and what is left is completed"),
        (b"<@a.a>", b"<>", "1: a route without colon leaves nothing"),
        (b"joe@a.b.", b"joe@a.b", "2: one dot at the end goes"),
        (b"joe.", b"joe@host.dom", "2: also without a host"),
        (b"joe@", b"joe@host.dom", "2: one @ at the end goes"),
        (b"joe@.", b"joe@host.dom", "2: first the dot, then the @"),
        (b"joe", b"joe@host.dom", "3: the default host, which gets the default domain if it has no dot"),
        (b'"joe@a.b"', b'"joe@a.b"@host.dom', "3: an @ in quotes is none"),
        (b"joe@mac+", b"joe@mac.plus", "4: + stands for the plus domain"),
        (b"joe@mac.lab+", b"joe@mac.lab.plus", "4: after dots, too"),
        (b"joe@mac+.", b"joe@mac.plus", "2 before 4"),
        (b"joe@mac", b"joe@mac.dom", "5: a host without dot gets the default domain"),
        (b"joe@a@mac", b"joe@a@mac.dom", "5: the host begins after the last @"),
    ],
)
def test_an_address_gets_a_full_host(written: bytes, sent: bytes, rule: str) -> None:
    """The steps in their order."""
    assert rewritten(written) == sent


def test_a_default_host_with_dots_gets_no_domain() -> None:
    """Only a host without dot is incomplete."""
    assert rewrite(raw(b"joe"), Hosts(b"a.b", b"dom", b"plus")).plain == b"joe@a.b"


@pytest.mark.parametrize(
    ("argument", "sent", "quoted"),
    [
        (b"joe", b"joe@host.dom", b"joe@host.dom"),
        (b"a b@c.d", b"a b@c.d", b'"a b"@c.d'),
        (b"a..b@c.d", b"a..b@c.d", b'"a..b"@c.d'),
        (b'"a"@c.d', b'"a"@c.d', b'"\\"a\\""@c.d'),
        (b"a@b@c.d", b"a@b@c.d", b'"a@b"@c.d'),
        (b"joe@mac+", b"joe@mac.plus", b"joe@mac.plus"),
        (b"joe@[1.2.3.4]", b"joe@[1.2.3.4]", b"joe@[1.2.3.4]"),
        (b"list-@host-@[]", b"list-@host-@[]", b'"list-@host-"@[]'),
        (b"", b"", b""),
    ],
)
def test_an_argument_needs_no_quotes(argument: bytes, sent: bytes, quoted: bytes) -> None:
    """Arguments are taken as they are; where they stand in a header they are quoted."""
    address = rewrite(raw(argument), HOSTS)
    assert address.plain == sent
    assert write([address], 0) == quoted


@given(st.binary(max_size=40))
def test_an_address_is_rewritten_once(argument: bytes) -> None:
    """What has a full host is left alone."""
    once = rewrite(raw(argument), HOSTS)
    assert rewrite(Address(once), HOSTS).plain in (once.plain, once.plain.rstrip(b".@"))


@given(st.lists(st.text("abc.@+", min_size=1, max_size=8).map(str.encode), max_size=4))
def test_nobody_is_lost_by_rewriting(texts: list[bytes]) -> None:
    """As many addresses go out as came in."""
    before = addresses(parse(b", ".join(texts)))
    assert len(addresses(parse(rewritten(b", ".join(texts))))) == len([a for a in before if rewrite(a, HOSTS).plain])
