"""What qmail-inject makes of a header: table tests of options, variables, fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.inject.composing import RefusedError, Request, compose, return_path
from appliance.inject.settings import Settings, listed
from appliance.inject.stamps import Moment
from appliance.message.header import Splitter
from appliance.message.rewriting import Hosts

NOW = Moment(1_800_000_000, 4711)  # 15 Jan 2027 08:00:00 GMT
DATE = b"Date: 15 Jan 2027 08:00:00 -0000\n"
NAME = b"Message-ID: <20270115080000.4711.qmail@id.example>\n"
FROM = b"From: joe@host.dom\n"
NOBODY = b"Cc: recipient list not shown: ;\n"
NEW = DATE + NAME + FROM


def known(letters: str = "", **changes: object) -> Settings:
    """What the environment says."""
    usual = Settings(
        Hosts(b"host", b"dom", b"plus"), b"id.example", b"joe", None, None, b"joe", None, frozenset(letters)
    )
    return usual._replace(**changes)


def made(
    header: bytes, *, call: Request | None = None, who: Settings | None = None
) -> tuple[bytes, list[bytes], bytes]:
    """Sender, recipients, header."""
    splitter = Splitter()
    splitter.feed(header + b"\n")
    return compose(splitter.fields, call or Request(), who or known(), NOW)


@pytest.mark.parametrize(
    ("header", "recipients"),
    [
        (b"To: a@a.a\nCc: b@b.b\nBcc: c@c.c\nApparently-To: d@d.d\n", [b"a@a.a", b"b@b.b", b"c@c.c", b"d@d.d"]),
        (b"Resent-To: a@a.a\nResent-Cc: b@b.b\nResent-Bcc: c@c.c\nTo: d@d.d\n", [b"a@a.a", b"b@b.b", b"c@c.c"]),
        (b"To: d@d.d\nResent-Date: x\n", []),
        (b"To: joe, fred@mac, eric@cs+\n", [b"eric@cs.plus", b"fred@mac.dom", b"joe@host.dom"]),
        (b"To: a@a.a\nTo: b@b.b\n", [b"a@a.a", b"b@b.b"]),
        (b"To: g: a@a.a, b@b.b;\n", [b"b@b.b", b"a@a.a"]),
        (b"Subject: nobody\n", []),
    ],
)
def test_the_header_names_the_recipients(header: bytes, recipients: list[bytes]) -> None:
    """Of a resent message only the Resent fields."""
    assert made(header).recipients == recipients


@pytest.mark.parametrize(
    ("choice", "arguments", "recipients"),
    [
        ("a", (b"x",), [b"x@host.dom"]),
        ("a", (), []),
        ("h", (b"x",), [b"b@b.b", b"a@a.a"]),
        ("A", (b"x",), [b"x@host.dom"]),
        ("A", (), [b"b@b.b", b"a@a.a"]),
        ("H", (b"x", b"y"), [b"x@host.dom", b"y@host.dom", b"b@b.b", b"a@a.a"]),
    ],
)
def test_trap_32_recipients_are_arguments_then_the_header_from_right_to_left(
    choice: str, arguments: tuple[bytes, ...], recipients: list[bytes]
) -> None:
    """Duplicates stay: whoever is named twice gets two copies."""
    assert made(b"To: a@a.a, b@b.b\n", call=Request(arguments, choice)).recipients == recipients
    twice = made(b"To: a@a.a, a@a.a\n", call=Request((b"a@a.a",), "H")).recipients
    assert twice == [b"a@a.a"] * 3


def test_trap_16_zero_recipients_are_a_message() -> None:
    """The queue takes it, and is done with it."""
    assert made(b"To: recipient list not shown: ;\n").recipients == []


@pytest.mark.parametrize("field", [b"To", b"Cc", b"Bcc", b"Apparently-To", b"Resent-To", b"Resent-Cc", b"Resent-Bcc"])
def test_trap_31_recipients_that_cant_be_read_are_an_error(field: bytes) -> None:
    """In qmail 1.09 the message goes out without them, and nobody is told."""
    with pytest.raises(RefusedError, match=field.decode()):
        made(field + b': "joe@a.a\nTo: fred@b.b\n')


@pytest.mark.parametrize("field", [b"From", b"Sender", b"Reply-To", b"Return-Path", b"Errors-To", b"Return-Receipt-To"])
def test_senders_that_cant_be_read_are_an_error(field: bytes) -> None:
    """Nobody could answer."""
    with pytest.raises(RefusedError, match=field.decode()):
        made(field + b": <joe\nTo: fred@b.b\n")


@pytest.mark.parametrize(
    ("header", "sent", "rule"),
    [
        (b"", NEW + NOBODY, "all that is missing, in this order, comes first"),
        (b"To: a@a.a\n", NEW + b"To: a@a.a\n", "with To no Cc is made up"),
        (b"Cc: a@a.a\n", NEW + b"Cc: a@a.a\n", "nor with Cc"),
        (b"Bcc: a@a.a\n", NEW + NOBODY, "Bcc is deleted"),
        (b"Content-Length: 3\nReturn-Path: <x@y.z>\nTo: a@a.a\n", NEW + b"To: a@a.a\n", "so are these"),
        (b"Date: x\nTo: a@a.a\n", NAME + FROM + b"Date: x\nTo: a@a.a\n", "a date stays"),
        (b"message-id: <1@x>\nTo: a@a.a\n", DATE + FROM + b"message-id: <1@x>\nTo: a@a.a\n", "a name stays as spelled"),
        (b"From: Fred <f>\nTo: a@a.a\n", DATE + NAME + b"From: Fred <f@host.dom>\nTo: a@a.a\n", "From is rewritten"),
        (b"TO : a,b\n", NEW + b"TO: a@host.dom, b@host.dom\n", "the name as written, without blanks"),
        (
            b"Subject:  a, b \nX-List: a, b\nTo: a@a.a\n",
            NEW + b"Subject:  a, b \nX-List: a, b\nTo: a@a.a\n",
            "untouched",
        ),
        (b"Received: x;\n y\nTo: a@a.a\n", NEW + b"Received: x;\n y\nTo: a@a.a\n", "folds of others stay"),
    ],
)
def test_what_is_missing_is_added_what_is_private_deleted(header: bytes, sent: bytes, rule: str) -> None:
    """New fields first, then the message's own in their order."""
    assert made(header).header == sent


def test_every_field_of_addresses_is_rewritten() -> None:
    """Those of RFC 822 and qmail's own."""
    for name in b"""Sender From Reply-To Return-Receipt-To Errors-To Resent-Sender Resent-From Resent-Reply-To
                    To Cc Apparently-To Resent-To Resent-Cc""".split():
        assert name + b": joe@mac.dom\n" in made(name + b": joe @ mac\n").header


def test_a_resent_message_gets_resent_fields() -> None:
    """The original ones stay as they are, addresses apart."""
    header = made(b"Resent-To: a@a.a\nTo: joe\nDate: x\n").header
    assert header == b"Resent-" + DATE + b"Resent-" + NAME + b"Resent-" + FROM + (
        b"Resent-To: a@a.a\nTo: joe@host.dom\nDate: x\n"
    )
    assert b"Resent-Cc: recipient list not shown: ;\n" in made(b"Resent-Bcc: a@a.a\n").header


@pytest.mark.parametrize(
    ("changes", "letters", "author"),
    [
        ({}, "", b"joe@host.dom"),
        ({"host": b"mac"}, "", b"joe@mac.dom"),
        ({"host": b"a.b"}, "", b"joe@a.b"),
        ({"name": b"Joe Blow"}, "", b'"Joe Blow" <joe@host.dom>'),
        ({"name": b"Joe Blow"}, "c", b"joe@host.dom (Joe Blow)"),
        ({"name": b'J "x" \\'}, "", b'"J \\"x\\" \\\\" <joe@host.dom>'),
        ({"name": b"J (x) \\"}, "c", b"joe@host.dom (J \\(x\\) \\\\)"),
        ({"name": b"J\nBcc: x"}, "", b'"J Bcc: x" <joe@host.dom>'),
        ({"user": b"joe blow"}, "", b'"joe blow"@host.dom'),
    ],
)
def test_from_names_who_writes(changes: dict[str, object], letters: str, author: bytes) -> None:
    """By the variables; the letter c puts the name into a comment."""
    assert b"From: " + author + b"\n" in made(b"", who=known(letters, **changes)).header


@pytest.mark.parametrize(
    ("header", "call", "letters", "changes", "sender"),
    [
        (b"", Request(), "", {}, b"joe@host.dom"),
        (b"", Request(), "", {"sender_user": b"s"}, b"s@host.dom"),
        (b"", Request(), "", {"sender_host": b"mac"}, b"joe@mac.dom"),
        (b"", Request(), "r", {}, b"joe-@host.dom-@[]"),
        (b"", Request(), "m", {}, b"joe-1800000000.4711@host.dom"),
        (b"", Request(), "mr", {}, b"joe-1800000000.4711-@host.dom-@[]"),
        (b"Return-Path: <x@y.z>\n", Request(), "", {}, b"x@y.z"),
        (b"Return-Path: <x@mac>\n", Request(), "", {}, b"x@mac.dom"),
        (b"Return-Path: a@a.a, x@y.z\nReturn-Path: b@b.b\n", Request(), "", {}, b"x@y.z"),
        (b"Return-Path: <>\n", Request(), "", {}, b""),
        (b"Return-Path: <x@y.z>\n", Request(), "s", {}, b"joe@host.dom"),
        (b"Return-Path: <x@y.z>\n", Request(), "r", {}, b"x@y.z-@[]"),
        (b"Return-Path: <x@y.z>\n", Request(sender=b"f@g.h"), "", {}, b"f@g.h"),
        (b"", Request(sender=b"f"), "", {}, b"f@host.dom"),
        (b"", Request(sender=b"f@mac+"), "r", {}, b"f@mac.plus"),
        (b"", Request(sender=b""), "", {}, b""),
        (b"", Request(sender=b"l-@a.b-@[]"), "", {}, b"l-@a.b-@[]"),
    ],
)
def test_the_envelope_sender(
    header: bytes, call: Request, letters: str, changes: dict[str, object], sender: bytes
) -> None:
    """-f, else Return-Path, else the variables; r and m make VERP senders."""
    assert made(header, call=call, who=known(letters, **changes)).sender == sender


@pytest.mark.parametrize(
    ("letters", "header", "kept"),
    [
        ("f", b"From: fred@a.a\nTo: a@a.a\n", NEW + b"To: a@a.a\n"),
        ("i", b"Message-ID: <1@x>\nTo: a@a.a\n", NEW + b"To: a@a.a\n"),
        ("fi", b"From: fred@a.a\nMessage-ID: <1@x>\nTo: a@a.a\n", NEW + b"To: a@a.a\n"),
        ("f", b"From: <unreadable\nTo: a@a.a\n", NEW + b"To: a@a.a\n"),
    ],
)
def test_the_letters_f_and_i_delete_what_came(letters: str, header: bytes, kept: bytes) -> None:
    """Then the fields are made anew."""
    assert made(header, who=known(letters)).header == kept


@pytest.mark.parametrize(
    ("header", "lists", "followup"),
    [
        (b"To: LIST@a.a, joe\nCc: c@c.c\n", b"list@A.a\n", b"LIST@a.a,\n  joe@host.dom,\n  c@c.c"),
        (b"To: joe@a.a\n", b"# a comment\n\nlist@a.a \n", None),
        (b"To: list@a.a\nMail-Followup-To: x@y.z\n", b"list@a.a", b"x@y.z"),
        (b"Resent-To: list@a.a\nTo: list@a.a\n", b"list@a.a", None),
        (b"Bcc: list@a.a\n", b"list@a.a", None),
    ],
)
def test_answers_to_a_list_go_to_all_of_to_and_cc(header: bytes, lists: bytes, followup: bytes | None) -> None:
    """Mail-Followup-To, if QMAILMFTFILE has one of the addresses."""
    sent = made(header, who=known(lists=listed(lists))).header
    assert sent.count(b"Mail-Followup-To") == (followup is not None)
    if followup is not None:
        assert b"Mail-Followup-To: " + followup + b"\n" in sent


@pytest.mark.parametrize("address", [b"a\nb@c.d", b"a\rb@c.d", b"a\0b@c.d"])
def test_an_address_with_a_line_end_is_refused(address: bytes) -> None:
    """The next program would read two lines."""
    with pytest.raises(RefusedError):
        made(b"", call=Request((address,)))
    with pytest.raises(RefusedError):
        made(b"To: x@y.z\n", call=Request(sender=address))


def test_return_path_quotes_the_sender() -> None:
    """As `qmail-inject -n` shows it."""
    assert return_path(b"a b@c.d") == b'Return-Path: <"a b"@c.d>\n'
    assert return_path(b"") == b"Return-Path: <>\n"


@given(st.binary(max_size=200), st.sampled_from(["", "crmsfi"]))
def test_any_header_is_composed_or_refused(header: bytes, letters: str) -> None:
    """Nothing else happens, and the header that goes out is one."""
    splitter = Splitter()
    if splitter.feed(header) is None:
        splitter.end()
    try:
        sent = compose(splitter.fields, Request(), known(letters), NOW).header
    except RefusedError:
        return
    again = Splitter()
    assert again.feed(sent) is None
    assert again.end() == b""
