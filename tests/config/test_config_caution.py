"""Warnings: what is valid and should yet be read."""

import pytest

from appliance.config import pipeline
from appliance.config.gateway import gateways_in

HEAD = "version: 1\nhostname: mx.example.org\n"
DOMAIN = "domains: {example.org: {mailboxes: {alice: {}}, aliases: {postmaster: [alice]}}}\n"

# more of the file, and the beginnings of its warnings
CAUTIONS = [
    ("", []),
    ("relay: {allow_from: [10.0.0.0/8, 172.16.0.0/12, 192.168.1.0/24, 127.0.0.1/32, 'fd00::/8', '::1/128']}", []),
    ("relay: {allow_from: [8.8.8.8/32]}", []),  # one named host
    ("relay: {allow_from: [8.8.8.0/24]}", ["relay.allow_from: 8.8.8.0/24 is wider than a private network"]),
    ("relay: {allow_from: [10.0.0.0/7]}", ["relay.allow_from: 10.0.0.0/7 is wider"]),
    ("relay: {allow_from: ['2000::/3']}", ["relay.allow_from: 2000::/3 is wider"]),
    ("listen: {}", ["listen: nothing listens"]),
    ("listen: {smtp: {}, pop3: {}}", ["listen.pop3: no mailbox has a password, so nobody can log in"]),
    ("routes: [{domain: '*', via: 'smtps://a.example'}]", ["routes[0]: TLS and AUTH are not served yet"]),
    ("routes: [{domain: '*', via: 'smtp://a.example'}]", []),
]


def configuration(more, domain=DOMAIN):
    return pipeline.parse((HEAD + domain + more).encode(), "mail.yaml")


@pytest.mark.parametrize(("more", "warnings"), CAUTIONS)
def test_a_warning_names_its_key(more, warnings):
    """What is risky or not served yet is told; what is neither is silent."""
    found = pipeline.warnings(configuration(more))
    assert len(found) == len(warnings)
    for text, beginning in zip(found, warnings, strict=True):
        assert text.startswith(beginning)


def test_a_mailbox_that_throws_its_mail_away_is_named():
    """For nobody writes that by intention, mostly."""
    domain = "domains: {example.org: {mailboxes: {alice: {deliver: ['#']}}, catch_all: alice}}\n"
    (found,) = pipeline.warnings(configuration("", domain))
    assert found.startswith("domains.example.org.mailboxes.alice.deliver: ")
    assert "throws its mail away" in found


def test_relaying_for_the_gateway_is_relaying_for_everybody():
    """Behind a published port every client may look like the gateway."""
    relay = configuration("relay: {allow_from: [10.0.0.0/8, '::1/128']}")
    (found,) = pipeline.gateway_warning(relay, ["10.88.0.1", "192.0.2.1", "fe80::1"])
    assert found.startswith("relay.allow_from: 10.0.0.0/8 contains the default gateway 10.88.0.1")
    assert pipeline.gateway_warning(relay, []) == []


def test_passwords_of_the_gateway_are_passwords_of_everybody():
    """The same for networks whose POP3 clients need no TLS."""
    pop3 = configuration("listen: {pop3: {cleartext_from: [10.0.0.0/8]}}")
    (found,) = pipeline.gateway_warning(pop3, ["10.88.0.1", "192.0.2.1"])
    assert found.startswith("listen.pop3.cleartext_from: 10.0.0.0/8 contains the default gateway 10.88.0.1")


def test_the_gateways_are_read_from_the_kernels_tables():
    """Only default routes with a gateway count; addresses are in the kernel's byte order."""
    ipv4 = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100580A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000580A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
    )
    zero, gateway = "0" * 32, "fe80" + "0" * 27 + "1"
    ipv6 = (
        f"{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003 eth0\n"
        f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n"
        f"{gateway} 80 {zero} 00 {zero} 00000000 00000002 00000000 80200001 lo\n"
    )
    assert gateways_in(ipv4, ipv6) == ["10.88.0.1", "fe80::1"]
    assert gateways_in("", "") == []


HASH = "$2b$04$mcdefghijklmnopqrstuuNEtL4ILcyDZJ3KcYC5OWWXEkpRPIMYeG"
BOX = 'domains: {{example.org: {{mailboxes: {{alice: {{password: "{}"{}}}}}, aliases: {{postmaster: [alice]}}}}}}\n'
POP3 = "listen: {smtp: {}, pop3: {cleartext_from: [%s]}}"


@pytest.mark.parametrize(
    ("more", "lines", "warnings"),
    [
        (POP3 % "", "", ["listen.pop3: TLS is not served yet, so only this host"]),
        ("listen: {smtp: {}, pop3: {address: 127.0.0.1}}", "", []),
        (POP3 % "10.0.0.0/8", "", []),
        (POP3 % "8.8.8.0/24", "", ["listen.pop3.cleartext_from: 8.8.8.0/24 is wider than a private network"]),
        (
            POP3 % "10.0.0.0/8",
            ", deliver: ['&bob@b.example']",
            ["domains.example.org.mailboxes.alice: POP3 finds no mail there"],
        ),
        ("", "", ["domains: the passwords of 1 mailbox are not used"]),
    ],
)
def test_passwords_that_do_nothing_or_travel_in_clear_are_told(more, lines, warnings):
    """Whoever opens POP3 reads who can't log in, and who would show a password to the world."""
    found = pipeline.warnings(configuration(more, BOX.format(HASH, lines)))
    assert [text for text, beginning in zip(found, warnings, strict=True) if not text.startswith(beginning)] == []
