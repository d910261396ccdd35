"""What a qmail host is made of, in the YAML: raw control files, users, extensions; and who wins."""

import json

import pytest

from appliance import rcpthosts, users
from appliance.cdb import Reader
from appliance.config import pipeline
from appliance.config.tables import Tables
from appliance.rcpthosts import RcptHosts

HEAD = "version: 1\nhostname: mx.example.org\n"
DOMAIN = (
    "domains: {example.org: {mailboxes: {alice: {}, bob: {}}, aliases: {postmaster: [alice], team: [alice, bob]}}}\n"
)


def parsed(text, folder=None):
    return pipeline.parse((HEAD + text).encode(), "mail.yaml", folder)


def compiled(text, folder=None):
    return pipeline.compile_files(parsed(text, folder))


def mistakes(text, folder=None):
    with pytest.raises(pipeline.ConfigError) as caught:
        parsed(text, folder)
    return caught.value.problems


RAW = {
    "me": "other.example.org",
    "locals": ["mx.example.org", "localhost", "[127.0.0.1]"],
    "rcpthosts": ["example.org", ".w.example"],
    "morercpthosts": ["More.example"],
    "virtualdomains": ["example.org:example.org", ".w.ex:bob", ":catch", "user@d.ex:joe-u", "exc.w.ex:"],
    "smtproutes": ["a.ex:relay.ex:26", ":[::1]:2525", ".b.ex:", "c.ex:192.0.2.1"],
    "concurrencylocal": 3,
    "concurrencyremote": 4,
    "databytes": 0,
    "queuelifetime": 60,
    "timeoutconnect": 1,
    "timeoutremote": 2,
    "timeoutsmtpd": 3,
    "doublebounceto": "root",
    "doublebouncehost": "else.example",
    "defaultdelivery": ["./Mail/"],
    "badmailfrom": ["@spam.example"],
    "percenthack": ["hack.example"],
    "envnoathost": "example.org",
}


@pytest.mark.parametrize("name", sorted(RAW))
def test_a_raw_control_file_is_the_file(name):
    """Whatever keys beside it would compile to."""
    lines = RAW[name] if isinstance(RAW[name], list) else [str(RAW[name])]
    files = compiled(DOMAIN + f"control: {json.dumps({name: RAW[name]})}")
    assert files[f"control/{name}"] == "".join(f"{line}\n" for line in lines).encode()


def test_an_empty_list_is_an_empty_file():
    """Trap 2: not a missing one."""
    assert compiled(DOMAIN + "control: {locals: []}")["control/locals"] == b""


def test_morercpthosts_comes_with_its_database():
    """As qmail-newmrh would build it."""
    files = compiled(DOMAIN + "control: {morercpthosts: [More.example, .more.example]}")
    assert files["control/morercpthosts.cdb"] == rcpthosts.build([b"More.example", b".more.example"])
    listed = RcptHosts([], Reader(files["control/morercpthosts.cdb"]))
    assert listed.accept(b"x@a.more.example")


def test_what_raw_files_name_is_accepted_unless_rcpthosts_is_raw_too():
    """Locals and virtual domains are in rcpthosts; exceptions, the empty key and single users are not."""
    raw = 'locals: [b.example], virtualdomains: [".w.ex:bob", "exc.w.ex:", ":catch", "u@d.ex:joe", "V.ex:v"]'
    assert compiled(DOMAIN + f"control: {{{raw}}}")["control/rcpthosts"] == (
        b".w.ex\nb.example\nexample.org\nmx.example.org\nv.ex\n"
    )
    assert compiled(DOMAIN + f"control: {{{raw}, rcpthosts: [only.ex]}}")["control/rcpthosts"] == b"only.ex\n"


CONTRADICTIONS = [
    ("control: {virtualdomains: ['example.org:example.org']}", None),
    ("control: {virtualdomains: ['other.ex:x']}", "8:27: control.virtualdomains: mail for alice@example.org and 3 more goes to another host"),
    ("control: {virtualdomains: ['example.org:joe']}", "8:27: control.virtualdomains: mail for alice@example.org and 3 more goes to the local user joe-alice"),
    ("control: {virtualdomains: ['example.org:example.org', 'bob@example.org:joe']}", "8:27: control.virtualdomains: mail for bob@example.org goes to the local user joe-bob"),
    ("control: {locals: [mx.example.org, Example.org]}", "8:19: control.locals: found example.org"),
    ("control: {locals: [mx.example.org]}", None),
    ("control: {locals: [localhost]}", "8:19: control.locals: found no mx.example.org"),
    ("control: {rcpthosts: [mx.example.org, example.org]}", None),
    ("control: {rcpthosts: [mx.example.org]}", "8:22: control.rcpthosts: found no entry for example.org"),
    ("control: {rcpthosts: [example.org], locals: [mx.example.org]}", "8:45: control.locals: found mx.example.org, yet rcpthosts"),
    ("control: {virtualdomains: ['example.org:example.org', 'u@d.ex:joe']}", "8:27: control.virtualdomains: found u@d.ex, yet rcpthosts"),
    ("control: {me: mx.example.org}", None),
    ("control: {me: other.example}", "8:15: control.me: found other.example, yet hostname makes it mx.example.org"),
    ("control: {databytes: 1000}", None),
    ("limits: {message_size: 1MiB}\ncontrol: {databytes: 1000}", "9:22: control.databytes: found 1000, yet limits.message_size makes it 1048576"),
    ("postmaster: bob@example.org\ncontrol: {doublebounceto: alice}", "9:27: control.doublebounceto: found alice, yet postmaster makes it bob"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "warning"), CONTRADICTIONS)
def test_a_contradiction_is_a_warning_with_its_place(more, warning):
    """The raw file wins, and its owner is told where keys say otherwise."""
    domain = "domains:\n  example.org:\n    mailboxes: {alice: {}, bob: {}}\n    aliases:\n      {postmaster: [alice], team: [alice, bob]}\n"
    found = [text for text in pipeline.warnings(parsed(domain + more)) if text.startswith("mail.yaml:")]
    assert len(found) == (warning is not None), found
    if warning:
        assert found[0].startswith(f"mail.yaml:{warning}"), found


EXTENDED = """domains:
  example.org:
    mailboxes:
      alice:
        extensions:
          lists-x: ["&bob@example.net", "./Lists/"]
          lists-x-owner: ["&bob@example.org"]
          Lists.y-default: ["&carol@example.net"]
      bob: {extensions: {default: ["./Maildir/"]}}
      bob-pub: {}
    aliases: {postmaster: [alice], team: [alice, alice-lists-x]}
    catch_all: bob
"""


@pytest.mark.parametrize(
    ("address", "file", "reason"),
    [
        ("alice@example.org", "alice/.qmail", "the mailbox itself"),
        ("alice-lists-x@example.org", "alice/.qmail-lists-x", "an extension"),
        ("Alice-LISTS-x@example.org", "alice/.qmail-lists-x", "in any case"),
        ("alice-lists.y-z@example.org", "alice/.qmail-lists:y-default", "all that begin with lists.y-"),
        ("alice-other@example.org", None, "an extension that is not there: nobody, although there is a catch_all"),
        ("bob-anything@example.org", "bob/.qmail-default", "all extensions"),
        ("bob-pub@example.org", "bob-pub/.qmail", "a mailbox whose name looks like one"),
        ("bob-pub-x@example.org", "bob/.qmail-default", "which has none of its own"),
        ("else@example.org", ".qmail-default", "the catch_all"),
    ],
)
def test_extensions_of_a_mailbox(address, file, reason):
    """Alice-x is Alice's, and nobody else's, as soon as she has extensions."""
    way = Tables(compiled(EXTENDED)).way(address)
    assert way.file == (file and f"mail/example.org/{file}"), reason
    assert way.nobody is (file is None)


def test_an_extension_has_the_lines_it_is_given():
    """Its dot-qmail file, and a wildcard of the mailbox in users/assign."""
    files = compiled(EXTENDED)
    assert files["mail/example.org/alice/.qmail-lists-x"] == b"&bob@example.net\n./Lists/\n"
    assert b"\n+example.org-alice-:paperpath:10025:0:mail/example.org/alice:-::\n" in files["users/assign"]
    assert b"+example.org-bob-pub-:" not in files["users/assign"]


@pytest.mark.parametrize(
    ("mailboxes", "aliases", "mistake"),
    [
        ("{alice: {extensions: {x: ['&a@b.ex']}}, alice-x: {}}", "{}", "alice.extensions.x: never gets mail: alice-x@example.org leads to mail/example.org/alice-x/.qmail"),
        ("{alice: {extensions: {x: ['&a@b.ex']}}}", "{alice-y: [alice]}", "aliases.alice-y: never gets mail: alice-y@example.org leads to nobody"),
        ("{alice: {extensions: {b-x: ['&a@b.ex']}}, alice-b: {extensions: {y: ['&a@b.ex']}}}", "{}", "alice.extensions.b-x: never gets mail"),
        ("{alice: {extensions: {x: ['&dave@example.org']}}}", "{}", "extensions.x[0]: found dave@example.org, which is neither"),
        ("{alice: {extensions: {x: ['&alice-x@example.org']}}}", "{}", "extensions.x: a loop"),
        ("{alice: {extensions: {x: []}}}", "{}", "extensions.x: found an empty list"),
        ("{alice: {extensions: {'x y': ['&a@b.ex']}}}", "{}", "extensions.x y: found the name"),
        ("{alice: {extensions: {x: ['+list', './Maildir/']}}}", "{}", "extensions.x: found +list"),
    ],
)  # fmt: skip
def test_extensions_do_not_hide_other_names(mailboxes, aliases, mistake):
    """Two things with one address are a mistake, and so is one that leads nowhere."""
    (found,) = mistakes(f"domains: {{example.org: {{mailboxes: {mailboxes}, aliases: {aliases}, catch_all: alice}}}}")
    assert mistake in found


def test_an_alias_may_be_dot_qmail_lines():
    """A command in the domain's folder; what else there is beside it."""
    aliases = "{postmaster: [alice], desk: ['|/usr/bin/ticket', alice, '&x@else.example']}"
    domain = (
        f"domains: {{example.org: {{mailboxes: {{alice: {{}}}}, aliases: {aliases}, catch_all: [alice, './Rest/']}}}}"
    )
    files = compiled(domain)
    assert files["mail/example.org/.qmail-desk"] == b"|/usr/bin/ticket\n&alice@example.org\n&x@else.example\n"
    assert files["mail/example.org/.qmail-default"] == b"&alice@example.org\n./Rest/\n"


ASSIGN = ["=joe:joe:507:100:mail/joe:::", "+joe-:joe:507:100:mail/joe:-::", "+:alias:7790:2108:mail/alias:-::"]
USERS = {
    "assign": ASSIGN,
    "homes": {"mail/joe": {".qmail-x": ["&a@b.ex"]}, "mail/alias": {".qmail-postmaster": ["&joe@mx.example.org"]}},
}


def test_users_come_after_those_of_the_domains():
    """users/assign is one file, and its lines are found by the look-up."""
    files = compiled(DOMAIN + f"users: {json.dumps(USERS)}")
    assert files["users/assign"].endswith("\n".join([*ASSIGN, ".\n"]).encode())
    assert files["users/cdb"] == users.build(files["users/assign"])
    tables = Tables(files)
    assert tables.way("joe-x@mx.example.org").file == "mail/joe/.qmail-x"
    assert tables.way("joe@mx.example.org").default == "mail/joe"
    assert tables.way("postmaster@mx.example.org").file == "mail/alias/.qmail-postmaster", "the operator's, not ours"
    assert tables.way("other@mx.example.org").nobody
    assert "mail/.qmail-postmaster" not in files


def test_a_wildcard_of_users_gets_nothing_of_a_domain():
    """Names that a domain does not know are refused, although `+:` takes every local name."""
    domain = "domains: {example.org: {mailboxes: {postmaster: {}}}}\n"
    users = {"assign": ASSIGN, "homes": {"mail/alias": {".qmail-default": ["&joe@mx.example.org"]}}}
    tables = Tables(compiled(domain + f"users: {json.dumps(users)}"))
    assert tables.way("else@mx.example.org").file == "mail/alias/.qmail-default"
    assert tables.way("else@example.org").nobody


def test_users_without_any_domain():
    """A host whose users are all in users/assign."""
    files = compiled(f"domains: {{}}\nusers: {json.dumps(USERS)}")
    assert files["control/rcpthosts"] == b"mx.example.org\n"
    assert Tables(files).way("joe@mx.example.org").default == "mail/joe"
    assert "at least one entry" in mistakes("domains: {}\n")[0]


def test_users_of_a_file_beside_the_yaml(tmp_path):
    """The same as its lines in the YAML; the dot at the end must be there."""
    (tmp_path / "users").mkdir()
    file = tmp_path / "users/assign"
    file.write_text("\n".join([*ASSIGN, ".\nafter the dot"]))
    assert compiled(DOMAIN + "users: {assign: users/assign}", tmp_path) == compiled(
        DOMAIN + f"users: {{assign: {json.dumps(ASSIGN)}}}"
    )
    file.write_text("\n".join(ASSIGN))
    (cut,) = mistakes(DOMAIN + "users: {assign: users/assign}", tmp_path)
    assert cut.startswith("mail.yaml:4:17: users.assign: users/assign can't be read: the line with the single dot")
    file.write_text("\n".join([ASSIGN[0], "=sue:sue", ".\n"]))
    (wrong,) = mistakes(DOMAIN + "users: {assign: users/assign}", tmp_path)
    assert wrong.startswith("mail.yaml:4:17: users.assign: users/assign line 2: found '=sue:sue'; =local:user")
    (missing,) = mistakes(DOMAIN + "users: {assign: none}", tmp_path)
    assert "none can't be read: No such file" in missing
    (folder,) = mistakes(DOMAIN + "users: {assign: users}", tmp_path)
    assert "can't be read: " in folder


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ('{assign: ["=joe:joe:507:100:/home/joe:::"]}', "users.assign[0]: found '=joe:joe:507:100:/home/joe:::'; a home lies in mail/ of the state folder: write mail/home/joe"),
        ('{assign: ["=joe:joe:507:100:mail/../x:::"]}', "write mail/x and"),
        ('{assign: ["=joe:joe:0:0:mail/joe:::"]}', "nothing is ever delivered as root"),
        ('{assign: ["=joe:joe:joe:0:mail/joe:::"]}', "uid and gid are numbers"),
        ('{assign: ["=joe:joe:1:1:mail/joe:/../..::"]}', "the dash is empty or begins with -"),
        ('{assign: ["# a comment"]}', "=local:user:uid:gid:home:dash:ext:"),
        ('{assign: ["=joe"]}', "=local:user:uid:gid:home:dash:ext:"),
        ("{assign: /etc/assign}", "a path below the folder of this file"),
        ("{assign: ../assign}", "a path below the folder of this file"),
        ("{assign: {}}", "text or a list is needed"),
        ('{assign: ["+example.org-te:x:1:1:mail/x:-::", "=example.org-alice:x:1:1:mail/x:::"]}', "aliases.team: never gets mail: team@example.org leads to nobody"),
        ("{homes: {/home/joe: {.qmail: [./Maildir/]}}}", "write mail/home/joe and move the folder"),
        ("{homes: {mail/joe: {.qmail-A.b: [./Maildir/]}}}", "small letters, and colons for dots: .qmail-a:b"),
        ("{homes: {mail/joe: {forward: [./Maildir/]}}}", "the name of a dot-qmail file"),
        ("{homes: {mail/joe: {.qmail: [joe]}}}", "& and a full mail address"),
        ("{homes: {mail/example.org: {.qmail-x: ['&a@b.ex']}}}", "users.homes.mail/example.org: a domain's own folder"),
    ],
)  # fmt: skip
def test_a_mistake_about_users_is_told(given, mistake):
    """Homes where `local` may write, lines that qmail-newu takes, names that are found."""
    (found,) = mistakes(DOMAIN + f"users: {given}")
    assert mistake in found


def test_many_mistakes_of_one_file_are_not_all_told():
    """A wrong file of a million lines does not fill the log."""
    found = mistakes(DOMAIN + f"users: {{assign: {json.dumps(['wrong'] * 1000)}}}")
    assert len(found) == 21


LISTS = """domains:
  example.org:
    mailboxes: {alice: {}, bob: {}}
    aliases: {postmaster: [alice]}
    lists:
      news: {members: [alice, carol@else.example], owner: bob, verp: true}
      staff: {members: [alice, bob], owner: postmaster}
"""


def test_a_mailing_list_is_qmail_s_files():
    """Members, an owner, and with VERP the owner of each member's bounces."""
    files = compiled(LISTS)
    found = {
        name.partition("qmail-")[2]: data for name, data in files.items() if name.startswith("mail/example.org/.qmail-")
    }
    assert found == {
        "news": b"&alice@example.org\n&carol@else.example\n",
        "news-owner": b"&bob@example.org\n",
        "news-owner-default": b"&bob@example.org\n",
        "postmaster": b"&alice@example.org\n",
        "staff": b"&alice@example.org\n&bob@example.org\n",
        "staff-owner": b"&postmaster@example.org\n",
    }
    assert Tables(files).way("news-owner-x=y.example@example.org").file == "mail/example.org/.qmail-news-owner-default"


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (("carol@else.example", "carol"), "lists.news.members[1]: found carol@example.org, which is neither"),
        (("owner: bob", "owner: bib"), "lists.news.owner: found bib@example.org, which is neither"),
        ((", owner: bob", ""), "lists.news.owner: the key is missing"),
        (("staff:", "bob:"), "lists.bob: bob is also a mailbox"),
        (
            ("{postmaster: [alice]}", "{postmaster: [alice], news-owner: [alice]}"),
            "lists.news: the alias news-owner again",
        ),
        (("members: [alice, bob], owner: postmaster", "members: [staff], owner: bob"), "lists.staff.members: a loop"),
        (
            ("members: [alice, bob]", "members: [bob, bob]"),
            "lists.staff.members[1]: found bob@example.org a second time",
        ),
    ],
)
def test_a_mistake_in_a_list_is_told(change, mistake):
    """Where it stands in the YAML."""
    (found,) = mistakes(LISTS.replace(*change))
    assert mistake in found


def test_a_forward_of_a_user_to_nobody_is_a_warning():
    """Qmail lets it be; an alias that leads to nobody is a mistake."""
    homes = '{mail/joe: {.qmail: [./Maildir/, "&nobody@example.org", "&joe@mx.example.org"]}}'
    text = DOMAIN + f"users: {{assign: {json.dumps(ASSIGN)}, homes: {homes}}}"
    (warning,) = pipeline.warnings(parsed(text))
    assert warning.startswith("mail.yaml:4:")
    assert "users.homes.mail/joe..qmail[1]: found nobody@example.org, whom nobody here is" in warning
