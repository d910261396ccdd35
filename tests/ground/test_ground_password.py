"""Hashes of passwords, ours and those of /etc/shadow."""

import contextlib
import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import accounts, password
from appliance.accounts import FILE, HASH, PLAIN, Account, Accounts

# the hash of "secret" by each method, as crypt(5) and argon2 write it
OF_SECRET = (
    "$argon2id$v=19$m=8,t=1,p=1$MDAwMDAwMDAwMDAwMDAwMA$vP/Vw2VD+Omoq+qXjfJdTmIZxqnUetH3gcMnnSfQM4o",
    "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "$6$rounds=1000$salt$HNxBeBnDfSfUrTj6KiLnmd7tGCvHEmcExh8kl/S0cZ5WrCciNZgfhbpkeFQ4JfkHX.8vPq45lY0iINnCx1Lkm.",
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
    "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
    "$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9",
    "$7$C6..../....saltsalt$5XJ6DH1K2qGmZ4ZuUi32nOnZOcS7St4BEECudrmQilC",
)


@pytest.mark.parametrize("stored", OF_SECRET)
def test_a_hash_knows_its_password(stored):
    """And no other, also none that only begins like it."""
    assert password.is_hash(stored)
    assert password.verify(stored, b"secret")
    for wrong in (b"Secret", b"secret ", b"secre", b"", b"secret\0more", b"x" * 5000):
        assert not password.verify(stored, wrong), wrong


@pytest.mark.parametrize(
    "text",
    [
        "secret", "", "$", "$1$salt$qJH7.N4xYta3aEG/dfqo/0",  # MD5 is too weak
        "$2b$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",  # a log-in would take a day
        "$argon2id$v=19$m=999999,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",  # and that one a gigabyte
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0",  # cut off
        "$pbkdf2-sha256$29000$abcdefgh$abcdefgh",  # libcrypt does not know it
        OF_SECRET[1] + "\n",
    ],
)  # fmt: skip
def test_what_can_not_be_verified_is_no_hash(text):
    """The configuration refuses it, and so does a log-in."""
    assert not password.is_hash(text)
    with pytest.raises(ValueError, match="not a hash"):
        password.verify(text, b"secret")


@given(st.text(max_size=120))
def test_any_text_is_a_hash_or_is_not(text):
    """Nothing else happens, and no stranger's text reaches libcrypt."""
    assert password.is_hash(text) in (True, False)


def test_a_new_hash_is_argon2id_and_differs_each_time():
    """RFC 9106; 19 MiB and three passes."""
    one, two = password.make("pässword".encode()), password.make("pässword".encode())
    assert one.startswith("$argon2id$v=19$m=19456,t=3,p=1$")
    assert one != two
    assert password.is_hash(one)
    assert password.verify(one, "pässword".encode())


@pytest.mark.parametrize("given", [b"", b"a\nb", b"a\0b", b"x" * 1025])
def test_what_no_client_could_send_gets_no_hash(given):
    """POP3 sends a password as the rest of a line."""
    with pytest.raises(ValueError, match="a password has"):
        password.make(given)


def test_apop_of_the_rfcs_example():
    """RFC 1939 section 7."""
    challenge = b"<1896.697170952@dbc.mtview.ca.us>"
    assert password.is_apop(b"tanstaaf", challenge, b"c4c9334bac560ecc979e58001b3e22fb")
    assert not password.is_apop(b"tanstaaf", b"<other@x>", b"c4c9334bac560ecc979e58001b3e22fb")


def test_the_command_prints_a_hash():
    """From a pipe; nothing else is printed, and a password is never on a command line."""
    command = [sys.executable, "-m", "appliance.cli.main", "password"]
    run = subprocess.run(command, input=b"my secret\n", capture_output=True, check=True)
    assert password.verify(run.stdout.decode().strip(), b"my secret")
    assert run.stderr == b""
    run = subprocess.run(command, input=b"\n", capture_output=True, check=False)
    assert (run.returncode, run.stdout) == (1, b"")
    assert subprocess.run([*command, "secret"], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(("again", "status"), [(b"secret", 0), (b"secrte", 1)])
def test_the_command_asks_twice_on_a_terminal(again, status):
    """What is typed is not shown, and two different ones give no hash."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "appliance.cli.main", "password"])
    said = b""
    for question, typed in ((b"Password: ", b"secret"), (b"Again: ", again)):
        while not said.endswith(question):
            said += os.read(terminal, 1024)
        os.write(terminal, typed + b"\n")
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while more := os.read(terminal, 1024):
            said += more
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    assert b"secret" not in said
    assert (b"$argon2id$" in said) is (status == 0)


# -- the table of accounts


def table(*rows: Account) -> Accounts:
    return Accounts(accounts.build(rows))


def test_an_account_is_found_by_its_address_in_any_case():
    """As the YAML's names and SMTP's."""
    alice = Account(b"alice@example.org", b"mail/example.org/alice", b"Maildir", HASH, OF_SECRET[1].encode())
    assert table(alice).find(b"ALICE@Example.Org") == alice
    assert table(alice).find(b"bob@example.org") is None
    assert Accounts(b"").find(b"alice@example.org") is None


@pytest.mark.parametrize(
    ("kind", "content", "given", "good"),
    [
        (FILE, OF_SECRET[1] + "\n", b"secret", True),
        (FILE, OF_SECRET[1] + "\r\nmore\n", b"secret", True),
        (FILE, OF_SECRET[1], b"wrong", False),
        (PLAIN, "secret\n", b"secret", True),
        (PLAIN, "secret \n", b"secret", False),
        (PLAIN, OF_SECRET[1], b"secret", False),
    ],
)
def test_a_secret_file_holds_a_hash_or_a_password_as_the_yaml_says(tmp_path, kind, content, given, good):
    """Its first line; a plain secret is never taken for a hash, nor the other way round."""
    (tmp_path / "secret").write_text(content)
    account = Account(b"a@b.example", b"", b"", kind, str(tmp_path / "secret").encode())
    assert accounts.accepts(account, given) is good


@pytest.mark.parametrize(("kind", "content"), [(FILE, ""), (FILE, "secret\n"), (PLAIN, "\n"), (PLAIN, None)])
def test_a_secret_file_that_is_none_is_an_error_not_a_wrong_password(tmp_path, kind, content):
    """Somebody has to mend it."""
    if content is not None:
        (tmp_path / "secret").write_text(content)
    account = Account(b"a@b.example", b"", b"", kind, str(tmp_path / "secret").encode())
    with pytest.raises((ValueError, OSError)):
        accounts.accepts(account, b"secret")


def test_apop_needs_a_plain_secret(tmp_path):
    """A digest of a hash proves nothing."""
    (tmp_path / "secret").write_text("tanstaaf\n")
    challenge, digest = b"<1896.697170952@dbc.mtview.ca.us>", b"c4c9334bac560ecc979e58001b3e22fb"
    path = str(tmp_path / "secret").encode()
    for kind, good in ((PLAIN, True), (HASH, False)):
        rows = table(Account(b"mrose@b.example", b"", b"", kind, path))
        assert (accounts.proven(rows, b"mrose@b.example", b"", challenge, digest) is not None) is good


def test_damage_is_an_error():
    """Nobody is let in by half a record."""
    with pytest.raises(ValueError, match="damaged"):
        Accounts(accounts.cdb.write([(b"a@b.example", b"home\0Maildir\0hash")])).find(b"a@b.example")
