"""Compiling: pure, deterministic, and in agreement with how the programs look things up."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import dotqmail, users
from appliance.config import pipeline
from appliance.config.generation import generation_name

HEAD = "version: 1\nhostname: mx.example.org\n"
NAMES = st.text("abcxyz-_+.", min_size=1, max_size=8).filter(lambda name: all(name.split(".")) and name != "default")


@st.composite
def domains(draw):
    """A few domains that are valid: names apart from each other, targets that exist, no loops."""
    found = {}
    for name in draw(st.lists(st.sampled_from(["a.example", "b.example", "sub.a.example"]), min_size=1, unique=True)):
        names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
        cut = draw(st.integers(1, len(names)))
        boxes, aliases = names[:cut], names[cut:]
        found[name] = {
            "mailboxes": {box: {} for box in boxes},
            "aliases": {alias: [draw(st.sampled_from(boxes))] for alias in aliases},
            "catch_all": boxes[0],
        }
    return found


def compiled(domains):
    text = HEAD + "domains: " + json.dumps(domains)  # JSON is YAML
    return pipeline.compile_files(pipeline.parse(text.encode(), "mail.yaml"))


@settings(max_examples=60, deadline=None)
@given(domains())
def test_every_mailbox_and_alias_is_found_by_the_look_up_that_delivers(domains):
    """users/assign is one qmail-newu accepts, and leads each address to its own dot-qmail file."""
    files = compiled(domains)
    assert files["users/cdb"] == users.build(files["users/assign"])
    directory = users.Users(files["users/cdb"])
    for name, domain in domains.items():
        for box in domain["mailboxes"]:
            user = directory.find(f"{name}-{box}".encode())
            assert (user.home, user.dash, user.ext) == (f"mail/{name}/{box}".encode(), b"", b"")
            assert files[f"mail/{name}/{box}/.qmail"] == b"./Maildir/\n"
        for alias, targets in domain["aliases"].items():
            user = directory.find(f"{name}-{alias}".upper().encode())
            path = user.home + b"/" + dotqmail.file_name(user.dash, user.ext)
            assert files[path.decode()] == b"".join(f"&{target}@{name}\n".encode() for target in targets)


@settings(max_examples=20, deadline=None)
@given(domains())
def test_the_same_yaml_has_the_same_name(domains):
    """A generation's name depends on nothing but its content."""
    assert generation_name(compiled(domains)) == generation_name(compiled(domains))


def test_the_order_of_mailboxes_does_not_change_the_generation():
    """Sorting a list of names in git restarts nothing."""
    one = compiled({"a.example": {"mailboxes": {"x": {}, "y": {}}, "catch_all": "x"}})
    two = compiled({"a.example": {"catch_all": "x", "mailboxes": {"y": {}, "x": {}}}})
    assert generation_name(one) == generation_name(two)


def test_another_content_has_another_name():
    """Paths and bytes both count, and can't be mistaken for each other."""
    sets = [{"a": b"b"}, {"ab": b""}, {"a": b"", "b": b""}, {}, {"a": b"c"}]
    assert len({generation_name(files) for files in sets}) == len(sets)


@pytest.mark.parametrize("name", [b"postmaster", b"mailer-daemon", b"root"])
def test_names_that_every_host_has_lead_to_the_postmaster(name):
    """Bare, and at the hostname, they reach the first domain's postmaster."""
    files = compiled({"a.example": {"mailboxes": {"x": {}}, "aliases": {"postmaster": ["x"]}}})
    user = users.Users(files["users/cdb"]).find(name.title())
    assert files[(user.home + b"/" + dotqmail.file_name(user.dash, user.ext)).decode()] == b"&postmaster@a.example\n"
    assert (files["control/doublebounceto"], files["control/doublebouncehost"]) == (b"postmaster\n", b"a.example\n")


def test_a_name_that_does_not_exist_has_no_wildcard():
    """A domain with mailboxes only refuses all other names at once."""
    files = compiled({"a.example": {"mailboxes": {"postmaster": {}}}})
    assert users.Users(files["users/cdb"]).find(b"a.example-nobody") is None


def test_twenty_thousand_mailboxes_take_seconds():
    """A large site can check a change before it commits it; CPU time, for the machine may be busy."""
    begun = time.process_time()
    boxes = {f"user{number}": {} for number in range(20000)}
    aliases = {f"alias{number}": [f"user{number}", f"alias{number + 1}"] for number in range(4999)}
    domain = {"mailboxes": boxes, "aliases": {**aliases, "alias4999": ["nobody"], "postmaster": ["user1"]}}
    with pytest.raises(pipeline.ConfigError, match="found nobody@"):
        compiled({"a.example": domain})
    domain["aliases"]["alias4999"] = ["user1"]
    assert len(compiled({"a.example": domain})) > 25000
    assert time.process_time() - begun < 20
