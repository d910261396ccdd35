"""DNS as mail needs it, asked of a real name server on loopback."""

import contextlib

import dns.rcode
import pytest
from name_server import NameServer
from remote_parts import on_uvloop

from appliance import dns as appliance_dns
from appliance.dns import NoData, NoSuchDomain, Resolver, TryLater
from appliance.errors import Permanent, Temporary
from appliance.remote import mx
from appliance.remote.hops import Hop

MANY = [f"10 mx{n}.a-rather-long-name-of-a-mail-exchanger.example." for n in range(30)]
RECORDS = {
    ("two.example", "MX"): ["20 b.example.", "10 a.example."],
    ("a.example", "A"): ["192.0.2.1"],
    ("a.example", "AAAA"): ["2001:db8::1"],
    ("b.example", "A"): ["192.0.2.2"],
    ("host.example", "A"): ["192.0.2.3"],
    ("text.example", "TXT"): ["hello"],
    ("fails.example", "MX"): dns.rcode.SERVFAIL,
    ("refuses.example", "MX"): dns.rcode.REFUSED,
    ("hangs.example", "MX"): "hang",
    ("many.example", "MX"): MANY,
    ("null.example", "MX"): ["0 ."],
    ("alias.example", "CNAME"): ["two.example"],
    ("dangling.example", "MX"): ["10 nowhere.example."],
    ("later.example", "MX"): ["10 fails-a.example."],
    ("fails-a.example", "A"): dns.rcode.SERVFAIL,
    ("circle.example", "MX"): ["10 a.example.", "20 me.example.", "30 b.example."],
    ("mine.example", "MX"): ["10 me.example.", "20 b.example."],
    ("me.example", "A"): ["192.0.2.9"],
    ("half.example", "A"): ["192.0.2.4"],
    ("half.example", "AAAA"): dns.rcode.SERVFAIL,
}


def ask(question):
    """Run one question against the name server."""

    async def run():
        async with NameServer(RECORDS).serving() as server:
            return await question(Resolver([("127.0.0.1", server.port)]), server)

    return on_uvloop(run())


@pytest.mark.parametrize(
    ("domain", "answer"),
    [
        (b"two.example", [(20, b"b.example"), (10, b"a.example")]),
        (b"TWO.Example", [(20, b"b.example"), (10, b"a.example")]),
        (b"alias.example", [(20, b"b.example"), (10, b"a.example")]),
        (b"null.example", [(0, b".")]),
        (b"absent.example", NoSuchDomain),
        (b"host.example", NoData),
        (b"fails.example", TryLater),
        (b"refuses.example", TryLater),
        (b"bad..example", NoSuchDomain),
        (b"x" * 64 + b".example", NoSuchDomain),
        (b"\xff.example", NoSuchDomain),
    ],
)
def test_an_mx_question_has_one_of_four_answers(domain, answer):
    """Records, no such domain, no data, or try later."""

    async def question(resolver, _):
        return await resolver.mx(domain)

    if isinstance(answer, list):
        assert sorted(ask(question)) == sorted(answer)
    else:
        with pytest.raises(answer):
            ask(question)


def test_a_name_server_that_hangs_means_later(monkeypatch):
    """Nobody waits longer than the lifetime of a question."""
    monkeypatch.setattr(appliance_dns, "LIFETIME", 0.3)

    async def question(resolver, _):
        return await resolver.mx(b"hangs.example")

    with pytest.raises(TryLater):
        ask(question)


def test_a_long_answer_is_asked_for_again_by_tcp():
    """An answer that does not fit a datagram loses no mail exchanger."""

    async def question(resolver, server):
        found = await resolver.mx(b"many.example")
        assert len(found) == len(MANY)
        assert server.asked == ["many.example MX", "many.example MX tcp"]

    ask(question)


def test_answers_are_kept():
    """The same question is asked once, whether its answer is good, bad or late."""

    async def question(resolver, server):
        for domain in (b"two.example", b"absent.example", b"fails.example"):
            for _ in range(3):
                with contextlib.suppress(NoSuchDomain, TryLater):
                    await resolver.mx(domain)
        assert server.asked.count("two.example MX") == 1
        assert server.asked.count("absent.example MX") == 1
        asked = server.asked.count("fails.example MX")
        with pytest.raises(TryLater):
            await resolver.mx(b"fails.example")
        assert server.asked.count("fails.example MX") == asked

    ask(question)


def test_the_cache_is_bounded(monkeypatch):
    """A flood of domains does not fill memory: the oldest answer goes."""
    monkeypatch.setattr(appliance_dns, "KEEP", 3)

    async def question(resolver, server):
        for n in range(10):
            with pytest.raises(NoSuchDomain):
                await resolver.mx(b"absent%d.example" % n)
        assert len(resolver._cache) == 3

    ask(question)


def test_both_address_families_are_found():
    """IPv4 comes first; a family that fails does not hide the other."""

    async def question(resolver, _):
        assert await resolver.addresses(b"a.example") == ["192.0.2.1", "2001:db8::1"]
        assert await resolver.addresses(b"half.example") == ["192.0.2.4"]
        with pytest.raises(NoData):
            await resolver.addresses(b"text.example")

    ask(question)


def test_resolv_conf_and_hosts_are_read_again(tmp_path):
    """A container's network may change while the program runs."""
    conf, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    hosts.write_text("127.0.0.9 relay\n")
    resolver = Resolver(resolv_conf=str(conf), hosts=str(hosts))

    async def run():
        assert await resolver.addresses(b"relay", ours=True) == ["127.0.0.9"]
        hosts.write_text("127.0.0.10 other relay # a comment\n")
        assert await resolver.addresses(b"RELAY", ours=True) == ["127.0.0.10"]
        with pytest.raises(TryLater):
            await resolver.mx(b"two.example")
        conf.write_text("nameserver 192.0.2.53\n")
        resolver._configure()
        assert resolver._stub.nameservers == ["192.0.2.53"]
        conf.write_text("nameserver 192.0.2.54 \n")
        resolver._configure()
        assert resolver._stub.nameservers == ["192.0.2.54"]
        conf.unlink()
        resolver._configure()  # the last name servers serve on

    on_uvloop(run())


NOWHERE = [
    (b"null.example", Permanent, "5.1.10", "RFC 7505: it accepts no mail"),
    (b"absent.example", Permanent, "5.1.2", "no such domain"),
    (b"text.example", Permanent, "5.4.4", "neither MX nor address"),
    (b"dangling.example", Permanent, "5.4.4", "an MX without address"),
    (b"mine.example", Permanent, "5.4.6", "the best MX is this host"),
    (b"fails.example", Temporary, "4.4.3", "DNS fails"),
    (b"later.example", Temporary, "4.4.3", "DNS fails for the only MX"),
    (b"[127.0.0.1]", Permanent, "5.4.6", "a literal that is this host"),
]


@pytest.mark.parametrize(("domain", "error", "code", "reason"), NOWHERE, ids=[row[3] for row in NOWHERE])
def test_a_domain_that_leads_nowhere_has_its_own_code(domain, error, code, reason):
    """Each way to have no next hop says so."""

    async def question(resolver, _):
        await mx.addresses(Hop(domain), resolver, lambda host, ip: host == b"me.example" or ip == "127.0.0.1")

    with pytest.raises(error) as caught:
        ask(question)
    assert caught.value.enhanced == code, reason


def test_a_domain_is_told_in_visible_ascii():
    """Whatever bytes a sender wrote behind the @: they come back in a bounce and on a terminal."""

    async def question(resolver, _):
        await mx.addresses(Hop(b"\x1b[2J\nX: y \xff.example"), resolver, lambda _host, _ip: False)

    with pytest.raises(Permanent, match=r"There is no host named \?\[2J\?X:\?y\?\?\.example"):
        ask(question)


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        (b"two.example", ["a.example[192.0.2.1]:25", "a.example[2001:db8::1]:25", "b.example[192.0.2.2]:25"]),
        (b"alias.example", ["a.example[192.0.2.1]:25", "a.example[2001:db8::1]:25", "b.example[192.0.2.2]:25"]),
        (b"circle.example", ["a.example[192.0.2.1]:25", "a.example[2001:db8::1]:25"]),
        (b"host.example", ["host.example[192.0.2.3]:25"]),
        (b"[192.0.2.7]", ["[192.0.2.7][192.0.2.7]:25"]),
        (b"[IPv6:2001:db8::7]", ["[IPv6:2001:db8::7][2001:db8::7]:25"]),
    ],
)
def test_a_domain_leads_to_addresses_in_order(domain, names):
    """By preference; those at and behind our own are left out; without MX the domain itself."""

    async def question(resolver, _):
        found = await mx.addresses(Hop(domain), resolver, lambda host, ip: host == b"me.example")
        return [address.name for address in found]

    assert ask(question) == names


def test_a_short_name_of_ours_is_completed(tmp_path):
    """A route may name a service as it is known in the cluster; a domain of the world is never completed."""
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\nsearch other.example example\n")

    async def run():
        async with NameServer(RECORDS).serving() as server:
            resolver = Resolver(resolv_conf=str(conf), hosts=str(tmp_path / "none"))
            resolver._configure()
            resolver._stub.port = server.port
            resolver._stub.nameservers = ["127.0.0.1"]
            assert await resolver.addresses(b"host", ours=True) == ["192.0.2.3"]
            with pytest.raises(NoSuchDomain):
                await resolver.addresses(b"host")

    on_uvloop(run())
