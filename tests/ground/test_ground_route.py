"""Local or remote: qmail-send's decisions, each row with its reason."""

from pathlib import Path

import pytest

from appliance.control import Generation
from appliance.route import Destination, Routes, suffixes

LOCALS = frozenset({b"mx.example.org"})
VIRTUAL = {
    b"a.example": b"joe-x",
    b".w.ex": b"bob",
    b"exc.w.ex": b"",
    b"user@dom.example": b"joe-u",
    b"example.org": b"example.org",
}


@pytest.mark.parametrize(
    ("recipient", "local", "address", "reason"),
    [
        (b"u@MX.example.ORG", True, b"u@MX.example.ORG", "locals: whole domain, any case, address unchanged"),
        (b"u", True, b"u@mx.example.org", "no @: envnoathost"),
        (b"u@sub.mx.example.org", False, b"u@sub.mx.example.org", "locals has no suffix rule"),
        (b"u@a.example", True, b"joe-x-u@a.example", "a domain entry prepends, the joiner is a dash"),
        (b"U@A.EXAMPLE", True, b"joe-x-U@A.EXAMPLE", "keys fold case, the address keeps it"),
        (b"u@sub.a.example", False, b"u@sub.a.example", "a domain entry has no sub-domains"),
        (b"u@h.w.ex", True, b"bob-u@h.w.ex", "a .suffix matches a host below"),
        (b"u@a.h.w.ex", True, b"bob-u@a.h.w.ex", "and one further below"),
        (b"u@w.ex", False, b"u@w.ex", "but not the name itself"),
        (b"u@exc.w.ex", False, b"u@exc.w.ex", "an empty prepend is an exception: remote"),
        (b"user@dom.example", True, b"joe-u-user@dom.example", "a virtual user"),
        (b"USER@dom.example", True, b"joe-u-USER@dom.example", "whose key folds case, too"),
        (b"other@dom.example", False, b"other@dom.example", "and nobody else there"),
        (b"a@b@example.org", True, b"example.org-a@b@example.org", "the last @ counts"),
        (b"u@elsewhere.example", False, b"u@elsewhere.example", "nothing matches: remote"),
        (b"a%b@elsewhere.example", False, b"a%b@elsewhere.example", "% means nothing without percenthack"),
    ],
)
def test_destination(recipient: bytes, local: bool, address: bytes, reason: str) -> None:
    """Order: no @, percenthack, locals, virtualdomains, remote."""
    routes = Routes(LOCALS, VIRTUAL, b"mx.example.org")
    assert routes.destination(recipient) == Destination(local, address), reason


def test_the_empty_key_catches_the_rest_but_exceptions_stay() -> None:
    """`:alias-catch` catches what no longer key does."""
    routes = Routes(LOCALS, {**VIRTUAL, b"": b"alias-catch"}, b"mx.example.org")
    assert routes.destination(b"u@far.example") == Destination(True, b"alias-catch-u@far.example")
    assert not routes.destination(b"u@exc.w.ex").local


def test_percenthack_unwraps_again_and_again() -> None:
    """The last % becomes @ as long as the domain is in the list."""
    routes = Routes(LOCALS, VIRTUAL, b"mx.example.org", frozenset({b"hack.example"}))
    assert routes.destination(b"u%far.example@hack.example") == Destination(False, b"u@far.example")
    twice = routes.destination(b"u%a.example%hack.example@HACK.example")
    assert twice == Destination(True, b"joe-x-u@a.example")
    assert routes.destination(b"u@hack.example") == Destination(False, b"u@hack.example")


@pytest.mark.parametrize(
    ("domain", "keys"),
    [
        (b"a.b.c", [b"a.b.c", b".b.c", b".c", b""]),
        (b"c", [b"c", b""]),
        (b"", [b"", b""]),
        (b".b.c", [b".b.c", b".c", b""]),
    ],
)
def test_suffixes_go_from_special_to_general(domain: bytes, keys: list[bytes]) -> None:
    """Smtproutes and virtualdomains are searched in this order."""
    assert list(suffixes(domain)) == keys


@pytest.mark.parametrize(
    ("address", "public", "reason"),
    [
        (b"example.org-alice@example.org", b"alice@example.org", "the prefix of a domain entry goes"),
        (b"bob-u@h.w.ex", b"u@h.w.ex", "of a suffix entry, too"),
        (b"joe-u-USER@dom.example", b"USER@dom.example", "of a user@domain entry, too"),
        (b"joe-u-other@dom.example", b"joe-u-other@dom.example", "which is for that user only"),
        (b"u@mx.example.org", b"u@mx.example.org", "a local domain has none"),
        (b"other@example.org", b"other@example.org", "an address without the prefix stays"),
        (b"x-u@exc.w.ex", b"x-u@exc.w.ex", "an exception has none"),
    ],
)
def test_trap_19_the_public_address_has_no_prefix(address: bytes, public: bytes, reason: str) -> None:
    """Bounces and the log name recipients as the world knows them; qmail's show the prefix of user@domain entries."""
    assert Routes(LOCALS, VIRTUAL, b"mx.example.org").public(address) == public, reason


def generation(folder: Path, **files: bytes) -> Generation:
    (folder / "control").mkdir(parents=True)
    for name, data in files.items():
        (folder / "control" / name).write_bytes(data)
    return Generation(folder)


def test_trap_02_a_missing_locals_means_me_and_an_empty_one_nothing(tmp_path: Path) -> None:
    """A file that exists but is empty is not missing."""
    assert Routes.of(generation(tmp_path / "a", me=b"mx.ex\n")).destination(b"u@MX.ex").local
    assert not Routes.of(generation(tmp_path / "b", me=b"mx.ex\n", locals=b"")).destination(b"u@mx.ex").local


def test_trap_01_the_last_of_two_equal_virtualdomains_wins(tmp_path: Path) -> None:
    """In users/assign it is the first."""
    routes = Routes.of(generation(tmp_path, me=b"mx\n", virtualdomains=b"d.ex:one\nD.ex:two\n"))
    assert routes.destination(b"u@d.ex").address == b"two-u@d.ex"


@pytest.mark.parametrize(
    ("recipient", "address", "reason"),
    [
        (b"u@both.ex", b"u@both.ex", "locals come before virtualdomains"),
        (b"u@d.ex", b"single-u@d.ex", "the whole address before its domain"),
        (b"v@d.ex", b"domain-v@d.ex", "the domain for all others"),
        (b"v@a.d.ex", b"below-v@a.d.ex", "a domain below by its own suffix"),
        (b"v@b.a.d.ex", b"deeper-v@b.a.d.ex", "and the longest suffix first"),
        (b"v@x.b.a.d.ex", b"deeper-v@x.b.a.d.ex", "at a dot, however deep"),
        (b"v@bad.ex", b"rest-v@bad.ex", "but not in the middle of a label"),
        (b"", b"rest-@host.ex", "no address at all is at envnoathost, too"),
        (b"u%both.ex@HACK.ex", b"u@both.ex", "percenthack comes before locals"),
        (b"u%w@x%hack.ex@hack.ex", b"rest-u@w@x", "the last % counts, again and again"),
    ],
)
def test_the_order_of_keys(tmp_path: Path, recipient: bytes, address: bytes, reason: str) -> None:
    """envnoathost, percenthack, locals, user@domain, domain, .suffixes from long to short, the empty key."""
    routes = Routes.of(
        generation(
            tmp_path,
            me=b"me.ex\n",
            envnoathost=b"host.ex\n",
            locals=b"both.ex\nme.ex\n",
            percenthack=b"Hack.ex\n",
            virtualdomains=b"both.ex:no\nu@d.ex:single\nd.ex:domain\n.d.ex:below\n.a.d.ex:deeper\n:rest\n# no:comment\nnocolon\n",
        )
    )
    assert routes.destination(recipient) == Destination(True, address), reason
