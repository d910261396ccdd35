"""smtpd, the queue and local agree about every recipient: what is accepted is delivered here, or may be relayed."""

import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.config import pipeline
from appliance.config.activate import write
from appliance.control import Generation
from appliance.errors import MailError, Permanent
from appliance.local.lookup import Book
from appliance.queue.sorting import Sorter
from appliance.queue.store import LOCAL
from appliance.route import Routes
from appliance.smtpd import commands
from appliance.smtpd.settings import Settings

YAML = b"""
version: 1
hostname: %b
domains:
  example.org:
    mailboxes:
      alice: {extensions: {x: ["&bob@all.example"], team-default: ["./Team/"]}}
      a.b: {}
      cur: {}
      maildir: {}
    aliases: {postmaster: [alice], team-owner: [alice], x-default: [alice]}
    lists: {bob: {members: [alice], owner: alice, verp: true}}
  all.example: {mailboxes: {bob: {}}, catch_all: bob}
users:
  assign: ["=cur:cur:7:7:mail/cur:::", "+bob-:bob:7:7:mail/bob:-::", "+owner:owner:7:7:mail/owner:::"]
  homes: {mail/bob: {.qmail-default: [./Maildir/], ".qmail-a:b": ["&x@other.example"]}}
relay: {}
control: {percenthack: [example.org, mx.example.net]}
"""
WORDS = ["alice", "a.b", "A:B", "cur", "team", "x", "bob", "postmaster", "example.org", "all.example", "other.example"]
WORDS += ["mx.example.net", "mx", "owner", "default", "\\", '"', "@", "@", "%", "%", "-", "-", ".", "..", "/", "!", ":"]
WORDS += ["[127.0.0.1]", "n" * 300]
PATH = st.lists(st.sampled_from(WORDS) | st.text(string.printable, max_size=3), max_size=8).map("".join)


@pytest.fixture(scope="module", params=[b"mx.example.net", b"example.org"])
def generation(request, tmp_path_factory):
    """Of a host with a name of its own, and of one named as its domain."""
    folder = tmp_path_factory.mktemp("agreement") / "generation"
    write(pipeline.compile_files(pipeline.parse(YAML % request.param, "mail.yaml")), folder)
    return Generation(folder)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=PATH, quoted=st.booleans())
def test_what_a_stranger_may_send_is_delivered_here(generation, path, quoted):
    """A recipient accepted from a stranger goes to a mailbox of ours; one refused as unknown has none."""
    local, at, domain = path.rpartition("@")
    text = f'"{local}"{at}{domain}' if quoted else path
    try:
        recipient = commands.rcpt(b"TO:<%b>" % text.encode())
    except Permanent:
        return
    refusal = Settings(generation).policy.refusal(b"", recipient, 0, may_relay=False)
    ways = Sorter(Routes.of(generation)).sort((recipient,))
    here = [address for (channel, _), addresses in ways if channel == LOCAL for address in addresses]
    if refusal is None:
        assert here, "neither relayed nor thrown away"
    elif refusal.enhanced == "5.7.1":
        assert not here
    book = Book(generation, os.fsencode(generation.folder) + b"/state")
    for address in here:
        try:
            assert book.plan(book.resident(address)), "delivered"
        except MailError as error:
            told = error
        else:
            told = None
        assert (refusal and (refusal.code, refusal.enhanced)) == (told and (told.code, told.enhanced))
