"""fastforward's tools: sendmail's aliases and lists as tables, in a dot-qmail line, through the whole appliance."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
from appliance_process import PAPERPATH, Appliance, wait_until
from unpacked import unpacked

YAML = """\
version: 1
hostname: mx.example.org
listen:
  smtp: {{address: 127.0.0.1, port: {port}}}
domains:
  example.org:
    mailboxes: {{alice: {{}}, bob: {{}}}}
    aliases: {{postmaster: [bob]}}
    catch_all: ['|./fastforward -d table.cdb']
"""
TOOLS = ("fastforward", "setforward", "printforward", "setmaillist", "printmaillist", "newinclude", "qmail-newaliases")
# the folders they were compiled for, by others of the same length: below the one they are started in
ELSEWHERE = {b"/var/lib/qmail": b".////////qmail", b"/etc/aliases": b".////aliases"}


class Home:
    """The domain's home, with the tools in it, for programs may run only what is the system's or lies there."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.folder = appliance.state / "mail/example.org"
        (self.folder / "qmail").mkdir(parents=True)
        (self.folder / "qmail/bin").symlink_to(PAPERPATH.parent)  # as the image has /var/qmail/bin
        (self.folder / "qmail/control").symlink_to(appliance.state / "control")
        package = unpacked("fastforward")
        for name in TOOLS:
            (source,) = package.glob(f"usr/*bin/{name}")
            program = source.read_bytes()
            for here, there in ELSEWHERE.items():
                program = program.replace(here, there)
            (self.folder / name).write_bytes(program)
            (self.folder / name).chmod(0o700)

    def run(self, name: str, *arguments: str, text: str | bytes = b"") -> str:
        """What a tool says, started in the home."""
        data = text if isinstance(text, bytes) else text.encode()
        return subprocess.run(
            [self.folder / name, *arguments], cwd=self.folder, input=data, stdout=subprocess.PIPE, check=True
        ).stdout.decode()

    def arrived(self, name: str, count: int) -> list[bytes]:
        """A mailbox with so many messages in it."""
        log = self.appliance.log_file
        return wait_until(
            lambda: len(found := self.appliance.mailbox(name)) == count and found, 10, log.read_text()[-1500:]
        )


@pytest.fixture
def home(appliance: Callable[..., Appliance]) -> Iterator[Home]:
    """A domain in which fastforward decides about all names that are no mailbox."""
    if not PAPERPATH.with_name("qmail-queue").exists():
        pytest.skip("qmail-queue is not installed here")
    made = appliance(yaml="version: 1")
    made.configure(YAML.format(port=made.port))
    return Home(made)


def test_a_table_forwards_and_refuses_other_names(home: Home) -> None:
    """Setforward makes it, printforward shows it; the rest bounces with fastforward's words."""
    table = "desk@example.org: bob@example.org,\n alice@example.org;\n"
    home.run("setforward", "table.cdb", "table.tmp", text=table)
    shown = home.run("printforward", text=(home.folder / "table.cdb").read_bytes())
    assert shown == "desk@example.org:\n, &bob@example.org\n, &alice@example.org\n;\n"
    home.appliance.start()
    home.appliance.send("desk@example.org", text="for the desk")
    for name in ("alice", "bob"):
        (mail,) = home.arrived(name, 1)
        assert b"\nDelivered-To: example.org-desk@example.org\n" in mail
        assert mail.startswith(b"Return-Path: <sender@client.example>\n")
    home.appliance.send("nobody@example.org", sender="alice@example.org")
    (bounce,) = (mail for mail in home.arrived("alice", 2) if b"for the desk" not in mail)
    assert b"Sorry, no mailbox here by that name. (#5.1.1)" in bounce


def test_sendmail_s_aliases_with_lists_owners_and_programs(home: Home) -> None:
    """newaliases, newinclude and setmaillist make tables; who runs a list gets its bounces."""
    home.appliance.start()  # newaliases and newinclude complete names by its control files
    (home.folder / "members").write_text("alice@example.org, Bob <bob@example.org>\n")
    home.run("newinclude", "members")
    members = home.run("printmaillist", text=(home.folder / "members.bin").read_bytes())
    assert sorted(members.split()) == ["&alice@example.org", "&bob@example.org"]
    home.run("setmaillist", "few.bin", "few.tmp", text="# one only\nbob@example.org\n")
    (home.folder / "aliases").write_text(
        f"news: :include:{home.folder}/members\n"
        "owner-news: bob@example.org\n"
        f'few: :include:{home.folder}/few, "|cat >{home.folder}/kept"\n'
    )
    home.run("qmail-newaliases")
    (home.folder / "aliases.cdb").rename(home.folder / "table.cdb")
    home.appliance.send("news@example.org")
    (mail,) = home.arrived("alice", 1)
    assert mail.startswith(b"Return-Path: <owner-news@mx.example.org>\n")
    home.arrived("bob", 1)
    home.appliance.send("few@example.org", text="for few")
    home.arrived("bob", 2)
    assert b"for few" in (home.folder / "kept").read_bytes()
