"""Who may send what to whom, and the trace header a message gets."""

import pytest

from appliance import cdb, policy, rcpthosts
from appliance.control import Generation
from appliance.message import received
from appliance.rcpthosts import RcptHosts
from appliance.recipient import Standing

STANDING = {
    b"alice@here.example": Standing.HERE,
    b"nobody@here.example": Standing.UNKNOWN,
    b"alice@inside.example": Standing.HERE,
    b"postmaster": Standing.HERE,
    b"x%else.example@backup.example": Standing.BEHIND,
}
POLICY = policy.Policy(
    lambda recipient: STANDING.get(recipient, Standing.ELSEWHERE),
    RcptHosts(
        [b"here.example", b"Backup.example", b".backup.example", b""], cdb.Reader(rcpthosts.build([b".More.example"]))
    ),
    badmailfrom=[b"@Spam.example", b"Liar@example.net"],
    max_recipients=3,
)


@pytest.mark.parametrize(
    ("sender", "recipient", "count", "may_relay", "code", "why"),
    [
        (b"s@example.net", b"alice@here.example", 0, False, None, "a mailbox of ours, from a stranger"),
        (b"", b"alice@here.example", 0, False, None, "a bounce to a mailbox of ours"),
        (b"s@example.net", b"nobody@here.example", 0, False, 550, "no such mailbox"),
        (b"s@example.net", b"nobody@here.example", 0, True, 550, "no such mailbox, for those who may relay neither"),
        (b"s@example.net", b"x@else.example", 0, False, 550, "relaying for a stranger"),
        (b"alice@here.example", b"x@else.example", 0, False, 550, "a sender's address proves nothing"),
        (b"s@example.net", b"x@else.example", 0, True, None, "relaying for a known network"),
        (b"s@example.net", b"x@BACKUP.example", 0, False, None, "a domain we are backup MX of"),
        (b"s@example.net", b"x@sub.backup.example", 0, False, None, "a suffix entry"),
        (b"s@example.net", b"x@xbackup.example", 0, False, 550, "not a suffix at a dot"),
        (b"s@example.net", b"x@SUB.more.example", 0, False, None, "a suffix entry of morercpthosts.cdb"),
        (b"s@example.net", b"x@more.example", 0, False, 550, "which does not match the name itself"),
        (b"s@example.net", b"postmaster", 0, False, None, "no domain at all"),
        (b"s@example.net", b"alice@inside.example", 0, False, 550, "a mailbox of ours in a domain for ourselves only"),
        (b"s@example.net", b"alice@inside.example", 0, True, None, "which our own networks may write to"),
        (b"s@example.net", b"x%else.example@backup.example", 0, False, 550, "relaying behind a %"),
        (b"s@example.net", b"x%else.example@backup.example", 0, True, None, "the same for a known network"),
        (b"x@spam.EXAMPLE", b"alice@here.example", 0, False, 553, "a bad domain"),
        (b"x@sub.spam.example", b"alice@here.example", 0, False, None, "a bad domain's sub-domain is another one"),
        (b"liar@example.net", b"alice@here.example", 0, True, 553, "a bad sender, also from a known network"),
        (b"s@example.net", b"alice@here.example", 2, False, None, "the third of three recipients"),
        (b"s@example.net", b"alice@here.example", 3, False, 452, "the fourth of three recipients"),
    ],
)
def test_the_decision_about_a_recipient(sender, recipient, count, may_relay, code, why):
    """Each row of the table."""
    refusal = POLICY.refusal(sender, recipient, count, may_relay=may_relay)
    assert (refusal and refusal.code) == code


@pytest.mark.parametrize(
    ("hosts", "more", "accepted", "reason"),
    [
        (
            [b"a.example"],
            None,
            {b"x@a.example": True, b"x@A.EXAMPLE": True, b"x@b.a.example": False},
            "the domain alone",
        ),
        ([b".a.example"], None, {b"x@b.a.example": True, b"x@c.b.a.example": True, b"x@a.example": False}, "a suffix"),
        ([b".a.example"], [b".b.example"], {b"x@.a.example": False, b"x@.b.example": False}, "an entry is no domain"),
        ([b""], None, {b"x@a.example": False}, "there is no empty entry that means everybody"),
        ([], None, {b"x@a.example": False, b"x": True}, "an empty file: nobody, but for names without a domain"),
        ([], [b"A.example"], {b"x@a.example": True, b"x@b.example": False}, "morercpthosts.cdb besides rcpthosts"),
        (None, [b"a.example"], {b"x@a.example": False}, "and never without it"),
        ([b"a.example"], None, {b"y@z@a.example": True, b"y@a.example@z": False}, "the last @ counts"),
    ],
)
def test_trap_04_rcpthosts_lists_domains_and_suffixes(hosts, more, accepted, reason):
    """The whole host, then each suffix that begins with a dot; the domain alone has no sub-domains."""
    database = None if more is None else cdb.Reader(rcpthosts.build(more))
    listed = RcptHosts(hosts, database)
    assert {recipient: listed.accept(recipient) for recipient in accepted} == accepted, reason


def test_trap_03_without_rcpthosts_nobody_may_relay(tmp_path):
    """Qmail takes mail for everybody then; and morercpthosts.cdb counts only besides rcpthosts."""
    (tmp_path / "control").mkdir()
    (tmp_path / "control/morercpthosts.cdb").write_bytes(rcpthosts.build([b"else.example"]))
    alone = policy.Policy(STANDING.get, RcptHosts.of(Generation(tmp_path)))
    assert alone.refusal(b"", b"alice@here.example", 0, may_relay=False) is None
    other = policy.Policy(lambda _: Standing.ELSEWHERE, RcptHosts.of(Generation(tmp_path)))
    assert other.refusal(b"", b"x@else.example", 0, may_relay=False).code == 550
    (tmp_path / "control/rcpthosts").write_bytes(b"")
    assert RcptHosts.of(Generation(tmp_path)).accept(b"x@else.example")


@pytest.mark.parametrize("damage", [b"", b"too short", b"\xff" * 4096])
def test_a_damaged_morercpthosts_is_an_error_and_no_refusal(tmp_path, damage):
    """Mail waits until it is mended: temporary."""
    (tmp_path / "control").mkdir()
    (tmp_path / "control/rcpthosts").write_bytes(b"a.example\n")
    (tmp_path / "control/morercpthosts.cdb").write_bytes(damage)
    with pytest.raises(ValueError, match=r"cdb|empty"):
        RcptHosts.of(Generation(tmp_path)).accept(b"x@b.example")


@pytest.mark.parametrize(
    ("address", "shown", "may_relay"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.3.7", "192.0.3.7", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("2001:db8::7", "2001:db8::7", True),
        ("2001:db9::7", "2001:db9::7", False),
        ("fe80::7%lo", "fe80::7", False),
    ],
)
def test_a_client_is_known_by_its_network(address, shown, may_relay):
    """IPv4 addresses in IPv6's clothes are themselves, and zones don't matter."""
    known = policy.client(address, policy.networks([b"192.0.2.1/24", b"2001:db8::/32"]), ())
    assert (known.address, known.may_relay, known.normalise) == (shown, may_relay, False)


@pytest.mark.parametrize("line", [b"no network", b"192.0.2.0/33", b"\xff"])
def test_what_is_no_network_is_an_error(line):
    """A relay list that can't be read must not be taken for another one."""
    with pytest.raises(ValueError, match="does not appear"):
        policy.networks([line])


def test_the_trace_header_is_qmails():
    """As qmail-smtpd writes it; what a client may not put into a header becomes a question mark."""
    text = received.header(b"a_b(c)\t[1]", b"2001:db8::1", b"mx.example.org", b"ESMTP", 1_700_000_003)
    assert text == (
        b"Received: from unknown (HELO a?b?c??[1]) (2001:db8::1)\n"
        b"  by mx.example.org with ESMTP; 14 Nov 2023 22:13:23 -0000\n"
    )
