"""`paperpath import qmail`: what a qmail host does with an address, Paperpath does by the YAML that is printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import qmail_host
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import dotqmail
from appliance.config import pipeline
from appliance.config.qmail import tcprules
from appliance.config.tables import Tables

PAPERPATH = Path(sys.executable).with_name("paperpath")


def imported(home, *options):
    done = subprocess.run([PAPERPATH, "import", "qmail", home, *options], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Compiled:
    """A host's YAML, compiled; homes that were moved are known by their old names."""

    def __init__(self, yaml, told) -> None:
        self.yaml, self.told = yaml, told
        self.configuration = pipeline.parse(self.yaml.encode(), "mail.yaml")
        self.files = pipeline.compile_files(self.configuration)
        self._tables = Tables(self.files)
        moves = re.findall(r"^(/\S+): move this home to (\S+) in the state folder$", self.told, re.MULTILINE)
        self._homes = {new: old for old, new in moves}

    def of(self, address):
        """As Prediction.of."""
        way = self._tables.way(address)
        if way.nobody:
            return "nobody"
        if not way.local:
            return "remote", way.address.decode()
        home = way.default or way.file.rpartition("/")[0]
        text = self.files[way.file] if way.file else b""
        found = dotqmail.instructions(text or self.files["control/defaultdelivery"])
        return [(each.action.value, self._target(each, home)) for each in found]

    def _target(self, instruction, home):
        target = instruction.target.decode()
        if instruction.action is not dotqmail.Action.MAILDIR:
            return target
        path = os.path.normpath(os.path.join(home, target))
        new = max((each for each in self._homes if path.startswith(each + "/")), key=len)
        return self._homes[new] + path.removeprefix(new)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The host with a hundred domains: what is predicted, and what was imported."""
    root = tmp_path_factory.mktemp("host")
    home = qmail_host.build(root)
    return qmail_host.Prediction(root), Imported(home)


class Imported(Compiled):
    """What the command makes of a host."""

    def __init__(self, home) -> None:
        self.status, yaml, told = imported(home)
        super().__init__(yaml, told)


NAMES = [
    "alice",
    "Alice",
    "postmaster",
    "team",
    "nobody",
    "info",
    "a.b",
    "news",
    "news-owner",
    "news-owner-x=y",
    "robot",
]
NAMES += [
    "alice-x",
    "joe",
    "joe-x",
    "sue",
    "sue-a.b",
    "sue-plain",
    "sue-nothing",
    "news-x",
    "odd-x",
    "root",
    "user",
    "default",
]
HOSTS = [f"d{number}.example" for number in range(100)] + [
    "mx.host.example",
    "LOCAL.example",
    "localhost",
    "single.example",
]
HOSTS += [
    "wild.example",
    "a.wild.example",
    "b.a.Wild.example",
    "out.wild.example",
    "elsewhere.example",
    "percent.example",
]


def test_every_address_leads_where_it_led(host):
    """All names at all domains: another host, nobody, or the same actions in the same order."""
    prediction, now = host
    assert now.status == 0
    for domain in HOSTS:
        for name in NAMES:
            address = f"{name}@{domain}"
            assert now.of(address) == prediction.of(address), address


@settings(max_examples=500, deadline=None)
@given(
    local=st.lists(
        st.sampled_from([*NAMES, "joe-d1", "d0.example", "-", ".", "%", "percent.example", "d1.example", "x"]),
        max_size=5,
    ).map("".join),
    domain=st.sampled_from(HOSTS),
)
def test_no_address_leads_elsewhere(host, local, domain):
    """Names put together from those that mean something; `d0.example-alice@` a local domain is as it was, too."""
    prediction, now = host
    if local:
        assert now.of(f"{local}@{domain}") == prediction.of(f"{local}@{domain}")


def test_keys_of_ours_say_what_they_can(host):
    """Domains with a home of their own, forwards and lists are keys; the rest is as qmail has it."""
    _, now = host
    domains = {domain.name: domain for domain in now.configuration.domains}
    assert len(domains) == 81
    assert [box.name for box in domains["d0.example"].mailboxes] == ["alice"]
    assert "  d1.example:\n    aliases: {a.b: [sue@local.example], info: [x@list.example.net], postmaster" in now.yaml
    assert (
        "  d7.example:\n    aliases: {postmaster: [sue@local.example]}\n    lists:\n      news: {members: [" in now.yaml
    )
    raw = [name for name, _ in now.configuration.control]
    assert raw == ["badmailfrom", "doublebouncehost", "locals", "percenthack", "rcpthosts", "virtualdomains"]
    assert now.files["control/smtproutes"] == b":127.0.0.1:9\nexc.example:\n"
    assert now.files["control/databytes"] == b"1000000\n"
    assert now.files["control/queuelifetime"] == b"86400\n"
    assert now.files["control/concurrencyremote"] == b"50\n"


def test_importing_again_changes_nothing(host, tmp_path):
    """The compiled control files are a qmail host's, and say what they said."""
    _, now = host
    for name, data in now.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    tables, again = Tables(now.files), pipeline.parse(imported(tmp_path)[1].encode(), "mail.yaml")
    other = Tables(pipeline.compile_files(again))
    for domain in HOSTS:
        assert tables.way(f"x@{domain}").local == other.way(f"x@{domain}").local


def test_what_is_left_out_is_told(host):
    """Line by line on stderr, and nothing of it in the YAML."""
    _, now = host
    assert "control/somepatch: not a file of qmail's own; not carried over" in now.told
    assert "relay.allow_from: who may relay" in now.told
    assert "/home/sue: move this home to mail/home/sue in the state folder" in now.told
    assert "users/assign: there is no users/cdb" in now.told


def test_a_hostile_copy_is_only_read_inside(tmp_path):
    """Links out of it, circles, FIFOs, huge files and folders for files: passed over and told, at once."""
    root, secret = tmp_path / "root", tmp_path / "secret"
    home = qmail_host.build(root)
    secret.write_text("&thief@evil.example\n")
    joe = root / "home/joe"
    (joe / ".qmail-relative").symlink_to("../../../secret")
    (joe / ".qmail-absolute").symlink_to(secret)
    (joe / ".qmail-circle").symlink_to(".qmail-circle")
    (joe / ".qmail-inside").symlink_to("/home/sue/.qmail-a:b")
    os.mkfifo(joe / ".qmail-fifo")
    (joe / ".qmail-folder").mkdir()
    with (joe / ".qmail-huge").open("wb") as huge:
        huge.truncate(1 << 40)
    (root / "home/lists").rename(root / "home/moved")
    (root / "home/lists").symlink_to("/home/moved")
    (home / "control/locals").unlink()
    (home / "control/locals").symlink_to("/etc/hostname")
    (home / "control/plusdomain").write_bytes(b"\xff\x00\x1b[2J: {[\n")
    (joe / ".qmail-bytes").write_bytes(bytes(range(256)))
    now = Imported(home)
    assert now.status == 0
    assert "thief" not in now.yaml
    assert "\x1b" not in now.yaml
    homes = dict(now.configuration.users.homes)
    names = [name for name, _ in homes["mail/home/joe"]]
    assert ".qmail-inside" in names
    assert not {".qmail-relative", ".qmail-absolute", ".qmail-circle", ".qmail-fifo", ".qmail-folder"} & set(names)
    for name, why in (
        ("circle", "go round"),
        ("fifo", "no plain file"),
        ("folder", "no plain file"),
        ("huge", "too much"),
    ):
        assert re.search(rf"/home/joe/\.qmail-{name}: not read: .*{why}", now.told), name
    assert "mail/home/lists" in homes


@pytest.mark.parametrize(
    ("files", "told", "said"),
    [
        ({"home/joe/.qmail": "/var/mail/joe\n"}, "/home/joe/.qmail line 1: mail for it waits until", "exit 111"),
        ({"home/joe/.qmail": "&\"odd name\"@x.ex\n"}, "/home/joe/.qmail line 1: mail for it waits until", "exit 111"),
        ({"home/joe/.qmail": "\n./Maildir/\n"}, "/home/joe/.qmail line 1: empty, so qmail followed none", ".qmail: [./Maildir/]"),
        ({"home/joe/.qmail": "+list\n./Maildir/\n"}, "/home/joe/.qmail: mail for it waits until", "exit 111"),
        ({"home/joe/.qmail-Big": "joe\n"}, "/home/joe/.qmail-Big: left out: it would never be found", None),
        ({"var/qmail/users/assign": "=joe\n=x:x:0:0:/home/joe:::\n.\n"}, "users/assign line 1: left out, qmail-newu", None),
        ({"var/qmail/users/assign": "=x:x:0:0:/home/joe:::\n.\n"}, "users/assign line 1: left out, nothing is delivered as root", None),
        ({"var/qmail/users/assign": "+x-:x:7:7:/home/joe:-/::\n.\n"}, "users/assign line 1: left out, its dash is -/", None),
        ({"var/qmail/users/assign": "=x:x:7:7:/home/gone:::\n.\n"}, "/home/gone: this home is not in the copy", "mail/home/gone"),
        ({"var/qmail/users/cdb": "x"}, "users/assign: users/cdb was made from another one", None),
        ({"var/qmail/control/databytes": "many\n"}, "control/databytes: 'many' is no number", None),
        ({"var/qmail/control/databytes": "1000\n"}, "", "databytes: 1000"),
        ({"var/qmail/control/smtproutes": "a.ex:b.ex\nb.ex:[::1]:26\n"}, "", "via: \"smtp://[::1]:26\""),
        ({"var/qmail/control/smtproutes": "a.ex:b.ex:x y\n"}, "control/smtproutes: left out: a.ex:b.ex:x y", None),
        ({"var/qmail/control/me": "mail\n"}, "control/me: mail: a fully qualified name is needed", "me: mail"),
        ({"var/qmail/control/virtualdomains": "bad domain:joe\n"}, "control/virtualdomains: left out: bad domain:joe", None),
        ({"var/qmail/control/morercpthosts.cdb": "x"}, "control/morercpthosts.cdb: there is no morercpthosts", None),
        ({"var/qmail/control/morercpthosts": "More.ex\n"}, "", "morercpthosts: [More.ex]"),
        ({"var/qmail/control/rcpthosts": None}, "control/rcpthosts: there is none, so qmail relayed for everybody", None),
    ],
)  # fmt: skip
def test_what_can_t_be_carried_over_is_told_line_by_line(tmp_path, files, told, said):
    """And mail for it waits rather than vanish."""
    home = qmail_host.build(tmp_path)
    for name, text in files.items():
        path = tmp_path / name
        if text is None:
            path.unlink()
        else:
            qmail_host.write(path, text)
    status, yaml, notes = imported(home)
    assert status == 0
    assert told in notes
    assert (said or "") in yaml


RULES = """# who may relay
127.:allow,RELAYCLIENT=""
192.168.1.7:allow,RELAYCLIENT=""
10.1.2-4.:allow,RELAYCLIENT=''
172.16.0.0/12:allow,RELAYCLIENT=""
10.9.:allow,RELAYCLIENT="@smarthost"
10.1.3.5:allow
=.example.org:allow,RELAYCLIENT=""
1.2.3.4:deny
1.2.3.:allow,RBLSMTPD="no"
:allow
"""


def test_who_may_relay_is_read_from_tcpserver_s_rules(tmp_path):
    """Networks are relay.allow_from; names, exceptions and suffixes can't be, and are told."""
    home = qmail_host.build(tmp_path)
    qmail_host.write(tmp_path / "etc/tcp.smtp", RULES)
    now = Imported(home)
    assert now.files["control/relayfrom"].decode().split() == [
        "10.1.2.0/23",
        "10.1.4.0/24",
        "10.9.0.0/16",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.1.7/32",
    ]
    for line, text in (
        (6, "@smarthost is not appended"),
        (7, "10.1.3.5 was excepted"),
        (8, "it is no network"),
        (9, "not carried over: 1.2.3.4:deny"),
        (10, "not carried over: 1.2.3.:allow"),
    ):
        assert re.search(rf"^tcpserver's rules line {line}: .*{re.escape(text)}", now.told, re.MULTILINE), now.told
    assert "--tcp-rules" not in now.told


@pytest.mark.parametrize(
    "address",
    ["", "1", "1.2.3.4.", "1.2.3.4.5", "256.", "1-999999999.", "1-255.1-255.1-255.1-255", "x.", "1..2.", "300.1.1.1"],
)
def test_what_is_no_network_relays_for_nobody(address):
    """A rule that can't be read opens nothing, and takes no time."""
    notes = []
    assert tcprules.networks(f'{address}:allow,RELAYCLIENT=""'.encode(), notes) == []
    assert len(notes) == 1


def test_what_is_no_qmail_host_is_refused(tmp_path):
    """Nothing is printed that could be taken for a configuration."""
    status, yaml, notes = imported(tmp_path)
    assert (status, yaml, "control/me is missing" in notes) == (2, "", True)
