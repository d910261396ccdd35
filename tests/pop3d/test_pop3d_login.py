"""Log-ins: who may, how, and how slowly one guesses."""

import asyncio
import hashlib
import os
import poplib
import re
import time
from pathlib import Path

import pytest
from pop3d_program import HASH, Client

from appliance import accounts, partition, sandbox
from appliance.accounts import HASH as KIND
from appliance.accounts import Account, Accounts
from appliance.pop3d.authorization import Login
from appliance.pop3d.logins import FORGET, PAUSES, WAITING, Crowded, Logins, Memory, network
from appliance.state import State


def test_a_wrong_password_and_a_stranger_get_the_same_answer_after_the_same_time(pop3d):
    """Nobody learns by text or time who has a mailbox; the log says who tried what from where."""
    took = []
    tried = {"alice": "127.0.0.2", "nobody": "127.0.1.2", "dave": "127.0.2.2"}  # the next try of a network waits longer
    for user, address in tried.items():
        with Client(pop3d.port, address) as client:
            client.say(b"USER %b@example.org" % user.encode())
            began = time.monotonic()
            assert client.say(b"PASS wrong") == b"-ERR [AUTH] that is no account here, or not its password"
            took.append(time.monotonic() - began)
            client.say(b"QUIT")
    assert min(took) >= 1.0
    failures = [line for line in pop3d.log if line["event"] == "login_failed"]
    assert [(line["client"], line["user"], line["how"]) for line in failures] == [
        (address, f"{name}@example.org", "PASS") for name, address in tried.items()
    ]


def test_the_line_for_fail2ban_in_the_manual_matches(pop3d):
    """docs/operation.md promises it."""
    with pop3d.connect() as client:
        client.log_in("alice", b"wrong")
    pop3d.wait_for("login_failed")
    pattern = re.compile(r'"event": "login_failed", "client": "(?P<host>[0-9.]+)"')
    assert pattern.search(pop3d._output.read_text())["host"] == "127.0.0.1"


def test_names_are_whole_addresses_in_any_case(pop3d):
    """As at SMTP; a secret may lie in a file, with its hash or in plain text."""
    for name, password in ((b"ALICE@Example.ORG", b"secret"), (b"carol@example.org", b"tanstaaf")):
        with pop3d.connect() as client:
            client.say(b"USER " + name)
            assert client.say(b"PASS " + password)[:3] == b"+OK", name
    with pop3d.session("dave") as client:
        assert client.say(b"NOOP")[:3] == b"+OK"


def test_a_changed_secret_file_counts_at_once(pop3d):
    """It is read at each log-in, also when it was replaced as Kubernetes and editors do."""
    new = pop3d.secrets / "new"
    new.write_text("another\n")
    new.rename(pop3d.secrets / "carol")
    with pop3d.connect() as client:
        client.say(b"USER carol@example.org")
        assert client.say(b"PASS another")[:3] == b"+OK"


def test_a_secret_file_that_is_gone_is_a_temporary_error(pop3d):
    """The password is not wrong; the log says what is missing (RFC 3206 section 4)."""
    (pop3d.secrets / "dave").unlink()
    with pop3d.connect() as client:
        assert client.log_in("dave")[:15] == b"-ERR [SYS/TEMP]"
        assert client.log_in("alice")[:3] == b"+OK"
    pop3d.expected_trouble = [pop3d.wait_for("trouble")]


def closed(path: Path) -> None:
    path.chmod(0)


def plain_text(path: Path) -> None:
    path.write_text("secret\n")


def a_link_out(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_text(HASH)
    path.unlink()
    path.symlink_to(elsewhere)


UNUSABLE = [
    (closed, "must be able to read it"),
    (a_link_out, "not a link out of it"),
    (plain_text, "`paperpath password` makes one"),
]


@pytest.mark.parametrize(("spoil", "hint"), UNUSABLE)
def test_a_secret_file_that_can_t_be_used_is_a_temporary_error_and_the_log_says_what_to_do(pop3d, spoil, hint):
    """It is no wrong password, so clients keep theirs; mended, it is good for the next log-in without a restart."""
    if spoil is closed and os.geteuid() == 0:
        pytest.skip("root reads every file")
    if spoil is a_link_out and sandbox.kernel_abi() < 1:
        pytest.skip("this kernel has no Landlock")
    dave = pop3d.secrets / "dave"
    spoil(dave)
    with pop3d.connect() as client:
        assert client.log_in("dave")[:15] == b"-ERR [SYS/TEMP]"
        said = pop3d.wait_for("trouble")
        pop3d.expected_trouble = [said]
        assert hint in said["cause"]
        assert str(dave) in said["cause"]
        dave.unlink()
        dave.write_text(HASH)
        assert client.log_in("dave")[:3] == b"+OK"


def test_a_folder_of_secrets_that_was_replaced_is_opened_by_a_new_start(pop3d):
    """Landlock opens folders, not names: at the first log-in that fails for it pop3d ends, and is started again."""
    if sandbox.kernel_abi() < 1:
        pytest.skip("this kernel has no Landlock")
    pop3d.secrets.rename(pop3d.secrets.with_name("old"))
    pop3d.secrets.mkdir()
    (pop3d.secrets / "dave").write_text(HASH)
    with pop3d.connect() as client:
        assert client.log_in("dave")[:15] == b"-ERR [SYS/TEMP]"
    assert pop3d.process.wait(20) == 0
    assert f"{pop3d.secrets} is another folder" in pop3d.wait_for("stopping")["reason"]
    pop3d.start()
    with pop3d.connect() as client:
        assert client.log_in("dave")[:3] == b"+OK"


def test_a_folder_of_secrets_that_nobody_may_enter_does_not_keep_pop3d_from_starting(tmp_path):
    """Only those whose secrets are in there can't log in; a folder that is not there is the same."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0)
    state = State(tmp_path / "state")
    folders = (tmp_path / "closed" / "in it", tmp_path / "none")
    if not (child := os.fork()):
        good = False
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            good = partition.pop3d(state, 110, folders).read == (state.generations, state.secrets)
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


PLAIN = """\
version: 1
hostname: mx.example.org
listen: {{pop3: {{address: 127.0.0.1, port: {port}}}}}
domains:
  example.org:
    mailboxes: {{carol: {{password: {{file: "{secrets}/carol", plain: true}}}}}}
    aliases: {{postmaster: [carol]}}
"""


def test_apop_proves_a_plain_secret_without_sending_it(pop3d):
    """RFC 1939 section 7; another secret's digest is as wrong as a password."""
    pop3d.configure(yaml=PLAIN)
    session = poplib.POP3("127.0.0.1", pop3d.port)
    assert session.apop("carol@example.org", "tanstaaf")[:3] == b"+OK"
    session.quit()
    with pop3d.connect() as client:
        challenge = re.search(rb"<.*>", client.greeting)[0]
        digest = hashlib.md5(challenge + b"secret").hexdigest().encode()
        assert client.say(b"APOP carol@example.org " + digest)[:11] == b"-ERR [AUTH]"


def test_challenges_differ(pop3d):
    """An APOP digest is good for one session."""
    pop3d.configure(yaml=PLAIN)
    with pop3d.connect() as one, pop3d.connect() as two:
        assert one.greeting != two.greeting


def test_no_apop_without_a_plain_secret(pop3d):
    """A hash can't prove a digest, so nobody is lured into trying: no challenge in the greeting."""
    yaml = "version: 1\nhostname: mx.example.org\nlisten: {{pop3: {{address: 127.0.0.1, port: {port}}}}}\n"
    yaml += 'domains: {{example.org: {{mailboxes: {{bob: {{password: "{hash}"}}}}, aliases: {{postmaster: [bob]}}}}}}\n'
    pop3d.configure(yaml=yaml)
    with Client(pop3d.port) as client:
        assert b"<" not in client.greeting
        assert client.say(b"APOP bob@example.org " + b"0" * 32) == b"-ERR APOP is not offered"


@pytest.mark.parametrize(
    ("apop", "passwords", "offered"), [(0, False, False), (1, False, True), (1, True, False), (2, True, True)]
)
def test_apop_is_offered_where_it_is_the_only_way_or_good_for_all(tmp_path, apop, passwords, offered):
    """Curl tries APOP when it sees a challenge, and gives up when a mailbox has only a hash."""
    from appliance.control import Generation
    from appliance.pop3d.settings import Settings

    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mx.example.org\n")
    (tmp_path / "control" / "apop").write_text(f"{apop}\n")
    assert Settings(Generation(tmp_path)).offers_apop(passwords=passwords) is offered


@pytest.mark.parametrize(
    ("address", "networks", "may"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("::ffff:127.0.0.1", "", True),
        ("192.0.2.1", "", False),
        ("10.1.2.3", "10.0.0.0/8\n", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8\n", True),
        ("fe80::1%eth0", "fe80::/10\n", True),
        ("2001:db8::1", "10.0.0.0/8\n", False),
    ],
)
def test_passwords_without_tls_come_from_this_host_and_named_networks(tmp_path, address, networks, may):
    """RFC 8314 section 3: nobody else should send one in clear."""
    from appliance.control import Generation
    from appliance.pop3d.settings import Settings

    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mx.example.org\n")
    (tmp_path / "control" / "cleartextfrom").write_text(networks)
    assert Settings(Generation(tmp_path)).may_send_passwords(address) is may


def test_who_waits_how_long():
    """1, 2, 4, 8, then 15 seconds; a success or a quarter of an hour ends it."""
    memory = Memory()
    waits = []
    for attempt in range(7):
        waits.append(memory.pause(b"x", 1000.0 + attempt))
        memory.failed(b"x", 1000.0 + attempt)
    assert waits == [*PAUSES, PAUSES[-1]]
    assert memory.pause(b"y", 1007.0) == 0
    assert memory.pause(b"x", 1006.0 + FORGET) == 0
    memory.forget(b"x")
    assert memory.pause(b"x", 1007.0) == 0


def test_what_is_remembered_of_attackers_is_bounded():
    """A million addresses cost no more memory than ten thousand."""
    memory = Memory()
    for number in range(20_000):
        memory.failed(b"%d" % number, 1000.0)
    assert len(memory._failures) == 10_000
    assert memory.pause(b"19999", 1000.0) == PAUSES[1]


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_whose_failures_count_together(one, two, same):
    """An IPv4 address; of IPv6 the network that one customer has."""
    assert (network(one) == network(two)) is same


class Run:
    """Log-ins without waiting: `slept` has what would have been waited."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.table = Accounts(
            accounts.build(
                Account(name, b"mail/x", b"Maildir", KIND, HASH.encode()) for name in (b"a@b.example", b"c@b.example")
            )
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds))
        await asyncio.sleep(0)

    def check(self, *attempts: tuple[str, bytes, bytes]) -> list[Account | None]:
        async def all_of_them() -> list[Account | None]:
            logins = Logins(self._sleep)
            found = [
                await logins.check(client, Login(user, given), b"", self.table) for client, user, given in attempts
            ]
            logins.close()
            return found

        return asyncio.run(all_of_them())


def test_guessing_becomes_slow_and_a_right_password_is_never_refused():
    """One address, one account: each failure makes the next attempt wait; then the right one comes through, late."""
    run = Run()
    found = run.check(*[("192.0.2.1", b"a@b.example", b"guess")] * 4, ("192.0.2.1", b"a@b.example", b"secret"))
    assert [account is not None for account in found] == [False] * 4 + [True]
    assert run.slept == [1, 1, 1, 2, 1, 4, 1, 8]


def test_guessing_from_many_addresses_is_slow_for_the_account():
    """A botnet's failures count together."""
    run = Run()
    run.check(*[(f"192.0.2.{number}", b"a@b.example", b"guess") for number in range(5)])
    assert run.slept == [1, 1, 1, 2, 1, 4, 1, 8, 1]


def test_a_neighbours_wrong_password_does_not_slow_down_who_is_known():
    """Behind one address of an office, those who logged in well lately do not wait."""
    run = Run()
    run.check(("192.0.2.1", b"a@b.example", b"secret"), *[("192.0.2.1", b"c@b.example", b"guess")] * 3)
    before = len(run.slept)
    run = Run()
    run.check(
        ("192.0.2.1", b"a@b.example", b"secret"),
        *[("192.0.2.1", b"c@b.example", b"guess")] * 3,
        ("192.0.2.1", b"a@b.example", b"secret"),
    )
    assert len(run.slept) == before


def test_attempts_of_one_address_stand_in_line_and_the_line_is_short():
    """A hundred connections at once guess no faster than one."""

    async def crowd() -> list[object]:
        async def never(_: float) -> None:
            await asyncio.sleep(3600)

        logins = Logins(never)
        table = Accounts(b"")
        tasks = [
            asyncio.create_task(logins.check("192.0.2.1", Login(b"a@b.example", b"guess"), b"", table))
            for _ in range(WAITING + 3)
        ]
        done, waiting = await asyncio.wait(tasks, timeout=0.2)
        while len(done) < 3:
            done, waiting = await asyncio.wait(tasks, timeout=0.2)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        logins.close()
        return [task.exception() for task in done]

    assert [type(error) for error in asyncio.run(crowd())] == [Crowded] * 3
