"""Mail for the world finds its way by DNS, to port 25: in network namespaces, with real mail exchangers."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.rcode
import pytest
from appliance_process import Appliance, wait_until
from network import HERE, NAME_SERVER, Zone, inside, name_server, network
from real_peers import listens, need

FIRST, SECOND, DEAD = "192.0.2.11", "192.0.2.12", "192.0.2.13"
MORE = (
    f"public_addresses: [192.0.2.99]\nrelay: {{allow_from: [127.0.0.1/32]}}\ncontrol: {{resolvers: [{NAME_SERVER}]}}\n"
)
ZONE: Zone = {
    ("first.mx.example", "A"): [FIRST],
    ("second.mx.example", "A"): [SECOND],
    ("dead.mx.example", "A"): [DEAD],
    ("mx.example.org", "A"): [HERE],
    ("alias.mx.example", "A"): [HERE],
    ("order.example", "MX"): ["20 second.mx.example.", "10 first.mx.example."],
    ("turned.example", "MX"): ["10 second.mx.example.", "20 first.mx.example."],
    ("dead.example", "MX"): ["10 dead.mx.example.", "20 missing.mx.example.", "30 second.mx.example."],
    ("plain.example", "A"): [FIRST],
    ("backup.example", "MX"): ["10 first.mx.example.", "20 mx.example.org.", "30 second.mx.example."],
    ("null.example", "MX"): ["0 ."],
    ("ours.example", "MX"): ["10 mx.example.org.", "20 second.mx.example."],
    ("alias.example", "MX"): ["10 alias.mx.example.", "20 second.mx.example."],
    ("plainours.example", "A"): [HERE],
    ("loopback.example", "A"): ["127.0.0.1"],
    ("nat.example", "MX"): ["10 nat.mx.example.", "20 second.mx.example."],
    ("nat.mx.example", "A"): ["192.0.2.99"],
    ("nowhere.example", "MX"): ["10 missing.mx.example."],
    ("text.example", "TXT"): ['"no mail here"'],
    ("failing.example", "MX"): dns.rcode.SERVFAIL,
    ("half.example", "MX"): ["10 failing.mx.example."],
    ("failing.mx.example", "A"): dns.rcode.SERVFAIL,
    ("failing.mx.example", "AAAA"): dns.rcode.SERVFAIL,
    ("waits.example", "MX"): ["10 dead.mx.example.", "20 mx.example.org.", "30 second.mx.example."],
}
ARRIVE = {
    "order.example": FIRST,
    "turned.example": SECOND,
    "dead.example": SECOND,
    "plain.example": FIRST,
    "backup.example": FIRST,
    f"[{SECOND}]": SECOND,
}
BOUNCE = {
    "null.example": b"5.1.10",
    "missing.example": b"5.1.2",
    "nowhere.example": b"5.4.4",
    "text.example": b"5.4.4",
    "ours.example": b"5.4.6",
    "alias.example": b"5.4.6",
    "plainours.example": b"5.4.6",
    "loopback.example": b"5.4.6",
    "nat.example": b"5.4.6",  # public_addresses: an address of ours that no interface has
}
WAIT = {"failing.example": "4.4.3", "half.example": "4.4.3", "waits.example": "4.4.1"}


class World:
    """The appliance, and the mail exchangers with what they got."""

    def __init__(self, appliance: Appliance, folder: Path) -> None:
        self.appliance = appliance
        self._folder = folder

    def got(self, host: str, text: str) -> list[bytes]:
        """The messages with a text that a mail exchanger has."""
        mail = [path.read_bytes() for path in (self._folder / host).iterdir()]
        return [message for message in mail if text.encode() in message]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An appliance that has nothing but DNS to find its way."""
    sink, folder = need("smtp-sink", "postfix"), tmp_path_factory.mktemp("mx")
    with ExitStack() as stack:
        ours, theirs = stack.enter_context(network([FIRST, SECOND, DEAD]))
        with inside(theirs):
            stack.enter_context(name_server(ZONE))
            for host in (FIRST, SECOND):
                (folder / host).mkdir()
                dump = ["-u", "root", "-d", f"{folder / host}/%M."]
                process = subprocess.Popen([sink, *dump, f"{host}:25", "100"], cwd=folder)
                stack.callback(process.wait)
                stack.callback(process.kill)
                wait_until(lambda process=process: listens(process, 25), 10, "smtp-sink to listen")
        stack.enter_context(inside(ours))
        appliance = Appliance(folder / "appliance", MORE).start()
        stack.callback(appliance.stop)
        yield World(appliance, folder)


@pytest.mark.parametrize(("domain", "host"), ARRIVE.items())
def test_mail_goes_to_the_best_exchanger_that_answers_and_only_there(world: World, domain: str, host: str) -> None:
    """By preference, past the dead ones, to the address itself where there is no MX, never behind ourselves."""
    world.appliance.send(f"x@{domain}", text=f"for {domain}.")
    wait_until(lambda: world.got(host, f"for {domain}."), 10, f"mail for {domain} at {host}")
    wait_until(lambda: not any(f"x@{domain}" in str(line) for line in world.appliance.queue()), 5, "its end")
    assert [len(world.got(other, f"for {domain}.")) for other in (FIRST, SECOND)].count(1) == 1


@pytest.mark.parametrize(("domain", "why"), BOUNCE.items())
def test_what_dns_says_for_good_bounces_at_once(world: World, domain: str, why: bytes) -> None:
    """No such domain, a null MX, no address, or ourselves as the best exchanger: the sender hears which."""
    before = len(world.appliance.log("received"))
    world.appliance.send(f"x@{domain}", sender="bob@example.org")
    (bounce,) = wait_until(
        lambda: [mail for mail in world.appliance.mailbox("bob") if f"<x@{domain}>:".encode() in mail], 10, "a bounce"
    )
    assert why in bounce
    assert len(world.appliance.log("received")) == before + 1  # it did not come round again


@pytest.mark.parametrize(("domain", "why"), WAIT.items())
def test_what_dns_or_the_exchangers_do_not_say_now_waits(world: World, domain: str, why: str) -> None:
    """A failing name server, or better exchangers than ourselves that are down, only defer."""
    message = world.appliance.send(f"x@{domain}", sender="bob@example.org")
    (line,) = wait_until(
        lambda: [line for line in world.appliance.log("deferred") if line["message"] == message], 20, "a deferral"
    )
    assert why in str(line["text"])
    assert not [mail for mail in world.appliance.mailbox("bob") if domain.encode() in mail]
    assert not world.got(SECOND, f"x@{domain}")


def test_an_address_of_ours_is_this_host(world: World) -> None:
    """localiphost: mail for [its address] is for the hostname, and goes to nobody else."""
    with world.appliance.smtp() as session:
        session.ehlo_or_helo_if_needed()
        session.mail("bob@client.example")
        assert session.rcpt(f"x@[{HERE}]") == (550, b"5.1.1 no such mailbox here")
        assert session.rcpt(f"postmaster@[{HERE}]")[0] == 250


def test_a_message_to_all_of_them_ends_once_for_each(world: World) -> None:
    """Every recipient has one outcome, and the sender one bounce with all that failed."""
    everybody = [f"{name}@{domain}" for domain in (*ARRIVE, *BOUNCE, *WAIT) for name in "ab"]
    message = world.appliance.send(*everybody, sender="alice@example.org")

    def outcomes() -> list[tuple[object, object]]:
        lines = [line for line in world.appliance.log() if line["event"] in ("delivered", "failed", "deferred")]
        return sorted((str(line["recipient"]), line["event"]) for line in lines if line["message"] == message)

    wait_until(lambda: len(outcomes()) >= len(everybody), 20, "an outcome for everybody")
    fates = [(ARRIVE, "delivered"), (BOUNCE, "failed"), (WAIT, "deferred")]
    assert outcomes() == sorted(
        (f"{name}@{domain}", fate) for table, fate in fates for domain in table for name in "ab"
    )
    assert not world.appliance.mailbox("alice")  # one bounce, when the last of them has an end
