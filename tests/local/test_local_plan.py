"""What is to be done for a recipient, as a pure matter of instructions and addresses."""

import pytest

from appliance.dotqmail import instructions
from appliance.local.plan import Plan, delivered_to, forward_sender, plan, return_path


@pytest.mark.parametrize(
    ("text", "steps", "reason"),
    [
        (b"./Maildir/", Plan((b"/h/Maildir",), ()), "a Maildir in the home"),
        (b"./a/b/", Plan((b"/h/a/b",), ()), "one further below"),
        (b"/srv/box/", Plan((b"/srv/box",), ()), "an absolute one"),
        (b"./x/\n./x/", Plan((b"/h/x", b"/h/x"), ()), "two lines are two copies"),
        (b"&a@b\nc@d\na@b", Plan((), (b"a@b", b"c@d")), "an address named twice gets one copy"),
        (b"./Maildir/\n&a@b", Plan((b"/h/Maildir",), (b"a@b",)), "both"),
        (b"# nothing", Plan((), ()), "a comment delivers nowhere and succeeds (trap 9)"),
    ],
)
def test_steps(text: bytes, steps: Plan, reason: str) -> None:
    """Each line is a step; forwards come last, in one message (trap 10)."""
    assert plan(instructions(text), b"/h") == steps, reason


@pytest.mark.parametrize("line", [b"|/usr/bin/filter", b"./Mailbox"])
def test_a_file_with_a_program_or_an_mbox_is_carried_out_line_by_line(line: bytes) -> None:
    """All its lines are steps, in their order."""
    found = plan(instructions(b"&a@b\n./Maildir/\n" + line + b"\n&c@d\n/srv/m"), b"/h")
    target = line[1:] if line[:1] == b"|" else b"/h/Mailbox"
    assert [step.target for step in found.steps] == [b"a@b", b"/h/Maildir", target, b"c@d", b"/srv/m"]
    assert not found.maildirs
    assert not found.forwards


@pytest.mark.parametrize(
    ("sender", "line", "reason"),
    [
        (b"a@b.example", b"Return-Path: <a@b.example>\n", "the common case"),
        (b"", b"Return-Path: <>\n", "a bounce"),
        (b"#@[]", b"Return-Path: <#@[]>\n", "a double bounce"),
        (b"a b@c", b'Return-Path: <"a b"@c>\n', "a local part that needs quotes"),
        (b'a"b@c', b'Return-Path: <"a\\"b"@c>\n', "a quote inside"),
        (b"a\nX-Evil: 1@c", b'Return-Path: <"a\\_X-Evil: 1"@c>\n', "no sender begins a header line"),
    ],
)
def test_return_path(sender: bytes, line: bytes, reason: str) -> None:
    """RFC 5321 section 4.4: the final delivery adds it."""
    assert return_path(sender) == line, reason


def test_delivered_to_stays_one_line() -> None:
    """An LF in a recipient becomes an underscore."""
    assert delivered_to(b"a\nb@c") == b"Delivered-To: a_b@c\n"


@pytest.mark.parametrize(
    ("sender", "owner", "default", "new", "reason"),
    [
        (b"s@x", False, False, b"s@x", "no -owner file: unchanged"),
        (b"s@x", True, False, b"team-owner@example.org", "an owner gets the bounces"),
        (b"s@x", True, True, b"team-owner-@example.org-@[]", "an owner-default: VERP"),
        (b"", True, True, b"", "a bounce stays one"),
        (b"#@[]", True, True, b"#@[]", "so does a double bounce"),
    ],
)
def test_forward_sender(sender: bytes, owner: bool, default: bool, new: bytes, reason: str) -> None:
    """Whose mail it is when a list's member does not exist."""
    assert forward_sender(sender, b"team@example.org", owner, default) == new, reason
