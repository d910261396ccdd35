"""Command lines, and what may be said before a log-in.  Pure."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.pop3d import commands
from appliance.pop3d.authorization import NO_CLEARTEXT, Authorization, Login
from appliance.pop3d.commands import Refusal

WORDS = [
    b"USER",
    b"PASS",
    b"APOP",
    b"QUIT",
    b"NOOP",
    b"CAPA",
    b"STLS",
    b"user",
    b"",
    b" ",
    b"\r",
    b"\0",
    b"a@b.example",
]
ANYTHING = st.one_of(st.binary(max_size=80), st.lists(st.sampled_from(WORDS), max_size=4).map(b" ".join))


@pytest.mark.parametrize(
    ("line", "verb", "rest"),
    [
        (b"NOOP\r\n", b"NOOP", b""),
        (b"noop\n", b"NOOP", b""),  # qmail takes a bare LF, and old scripts send it
        (b"PASS  two blanks \r\n", b"PASS", b" two blanks "),
        (b"retr 1\r\n", b"RETR", b"1"),
        (b"\r\n", b"", b""),
        (b" QUIT\r\n", b"", b"QUIT"),
    ],
)
def test_a_line_is_a_verb_and_its_rest(line, verb, rest):
    """The rest is kept byte for byte: blanks may belong to a password."""
    assert commands.parse(line) == (verb, rest)


@pytest.mark.parametrize("line", [b"PASS a\rb\r\n", b"PASS a\0b\r\n", b"QUIT\r\r\n"])
def test_control_characters_are_refused(line):
    """A line means the same to everybody who reads it."""
    with pytest.raises(Refusal):
        commands.parse(line)


@given(ANYTHING)
def test_any_line_is_parsed_or_refused(text):
    """Nothing else happens, and what is parsed is what was there."""
    with contextlib.suppress(Refusal):
        verb, rest = commands.parse(text + b"\r\n")
        assert text.upper().startswith(verb)
        assert text.endswith(rest)


@given(st.binary(max_size=12))
@example(b"007")
@example(b"\xd9\xa1")
@example(b"99999999999")
def test_a_number_is_decimal_digits(text):
    """What Python would take beyond that, such as other scripts' digits and signs, is none."""
    try:
        number = commands.number(text)
    except Refusal:
        assert not (text and text.isascii() and text.isdigit() and len(text) <= 10)
    else:
        assert b"%d" % number == (text.lstrip(b"0") or b"0")


@given(st.lists(ANYTHING, max_size=6), st.booleans(), st.booleans())
def test_before_a_log_in_every_line_has_one_answer(lines, passwords, apop):
    """One line of reply (CAPA: many), or a log-in with a name and a password."""
    before = Authorization(b"<1@mx.example.org>" if apop else b"", passwords=passwords)
    for line in lines:
        answer = before.answer(line + b"\n")
        if isinstance(answer, Login):
            assert answer.user
            assert passwords or answer.digest
            assert bool(answer.password) != bool(answer.digest)
        else:
            assert answer[:3] == b"+OK" or answer[:4] == b"-ERR"
            assert answer.endswith(b"\r\n")
            assert answer.count(b"\r\n") == 1 or answer.endswith(b"\r\n.\r\n")


def test_without_passwords_user_is_not_offered_and_the_answer_says_what_to_do():
    """From elsewhere than loopback and named networks there is no log-in in clear; APOP, which shows nothing, is left."""
    before = Authorization(b"<1@mx>", passwords=False)
    assert b"USER" not in before.answer(b"CAPA\r\n")
    assert before.answer(b"USER alice@example.org\r\n") == b"-ERR " + NO_CLEARTEXT.encode() + b"\r\n"
    assert before.answer(b"PASS secret\r\n")[:15] == b"-ERR [SYS/PERM]"
    assert before.answer(b"APOP a@b.example 0123\r\n") == Login(b"a@b.example", b"", b"0123")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"PASS x", "USER comes first"),
        (b"USER", "a name is needed"),
        (b"APOP a", "a digest is needed"),
        (b"STAT", "log in first"),
        (b"AUTH PLAIN", "not offered"),
        (b"STLS", "not offered"),
    ],
)
def test_what_comes_too_early_is_refused(line, why):
    """And counted, so that garbage ends a session."""
    before = Authorization(b"<1@mx>", passwords=True)
    assert before.answer(line + b"\r\n")[:4] == b"-ERR", why
    assert before.bad_commands == 1


def test_a_name_is_good_for_one_password():
    """After a failure USER comes again (RFC 1939 section 7)."""
    before = Authorization(b"", passwords=True)
    before.answer(b"USER a\r\n")
    assert before.answer(b"PASS  b c \r\n") == Login(b"a", b" b c ")
    assert before.answer(b"PASS d\r\n") == b"-ERR USER first\r\n"
