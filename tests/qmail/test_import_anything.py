"""Any qmail host: what it does with an address, Paperpath does by the YAML that the import prints."""

import os
import tempfile
from pathlib import Path

import qmail_host
from hypothesis import given, settings
from hypothesis import strategies as st
from test_import_qmail import Compiled

from appliance.config.qmail.carry import carry
from appliance.config.qmail.root import Root
from appliance.config.qmail.tree import read

NAMES = ["a", "b", "a-b", "a-x", "list", "list-owner", "default", "postmaster", "A.b", "c-default", "x"]
DOMAINS = ["one.ex", "two.ex", "sub.one.ex", "a.ex", "me.host.ex", "else.ex"]
USERS = ["a", "b", "one.ex", "list", "a-b"]
KEYS = st.sampled_from(["", *DOMAINS, ".one.ex", ".ex", "a@one.ex", "b@else.ex"])
PREFIXES = st.sampled_from(["", "a", "b", "one.ex", "two.ex", "a-one", "list", "nobody", "One.ex"])
EXTENSIONS = st.sampled_from(
    ["", *(f"-{name}" for name in NAMES), "-one-a", "-one-default", "-a:b", "-Big", "-one-a-default"]
)
LINES = ["./Maildir/", "./a/Maildir/", "./x/Maildir/", "&b@one.ex", "a", "&x@far.ex", "|true", "# none", "+list"]
# what +list forbids is another test's
TEXTS = st.lists(st.sampled_from(LINES), max_size=2).filter(
    lambda text: text[:1] != ["+list"] or not text[1:] or text[1][0] not in ".|"
)
HOMES = st.sampled_from(["/home/a", "/home/b", "/home/one.ex", "/home/list", "/home/a-b"])
ASSIGN = st.tuples(
    st.sampled_from("=+"), st.sampled_from([*NAMES, "", "one.ex-", "a-", "two.ex-", "list-", "a-one-", "one.ex-a"]), HOMES, st.sampled_from(["", "-"]),
    st.sampled_from(["", "one-", "a"]),
)  # fmt: skip
HOSTS = st.fixed_dictionaries(
    {
        "virtual": st.lists(st.tuples(KEYS, PREFIXES), max_size=6),
        "locals": st.lists(st.sampled_from(["me.host.ex", "a.ex", "one.ex", "localhost"]), unique=True, max_size=3),
        "assign": st.lists(ASSIGN, max_size=5),
        "users": st.lists(st.sampled_from(USERS), unique=True, max_size=4),
        "files": st.dictionaries(st.tuples(HOMES | st.just("/var/qmail/alias"), EXTENSIONS), TEXTS, max_size=12),
    }
)


def build(root, host):
    """Write it."""
    home = root / "var/qmail"
    control = {
        "me": "me.host.ex\n",
        "percenthack": "",
        "defaultdelivery": "./Maildir/\n",
        "locals": lines(host["locals"]),
    }
    control["virtualdomains"] = lines(f"{key}:{prefix}" for key, prefix in host["virtual"])
    control["rcpthosts"] = lines(DOMAINS)
    for name, text in control.items():
        qmail_host.write(home / "control" / name, text)
    assign = [f"{kind}{name}:u:7:7:{place}:{dash}:{pre}:" for kind, name, place, dash, pre in host["assign"]]
    qmail_host.write(home / "users/assign", lines([*assign, "."]))
    users = [f"{user}:x:{qmail_host.UID}:7::/home/{user}:/bin/sh" for user in host["users"]]
    qmail_host.write(root / "etc/passwd", lines([*users, f"alias:x:{qmail_host.UID}:7::/var/qmail/alias:/bin/sh"]))
    for user in USERS:
        (root / "home" / user).mkdir(parents=True)
    (home / "alias").mkdir()
    for (place, ext), text in host["files"].items():
        qmail_host.write(root / place.lstrip("/") / f".qmail{ext}", lines(text))
    for path in root.rglob("*"):
        os.chown(path, qmail_host.UID, -1)


def lines(items):
    return "".join(f"{item}\n" for item in items)


@settings(max_examples=150, deadline=None)
@given(HOSTS)
def test_the_same_mail_goes_the_same_way(host):
    """All names at all domains, and local ones with their prefixes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        build(root, host)
        tree = read(Root(root), b"/var/qmail", (root / "etc/passwd").read_bytes(), any_owner=False)
        yaml = carry(tree, ["./Maildir/"])
        now = Compiled(yaml, "\n".join(tree.notes))
        prediction = qmail_host.Prediction(root)
        for domain in DOMAINS:
            for name in [*NAMES, "one.ex-a", "list-a", "a-one-x", "zz"]:
                address = f"{name}@{domain}"
                assert now.of(address) == prediction.of(address), (address, yaml)
