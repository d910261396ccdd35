"""dot-qmail: the names of the files and the meaning of their lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.dotqmail import Action, DotQmailError, ForwardOnlyError, Instruction, file_name, instructions, search


@pytest.mark.parametrize(
    ("dash", "ext", "names"),
    [
        (b"", b"", [b".qmail", b".qmaildefault"]),
        (b"-", b"a", [b".qmail-a", b".qmail-default"]),
        (b"-", b"a-", [b".qmail-a-", b".qmail-a-default", b".qmail-default"]),
        (b"-", b"a-b-c", [b".qmail-a-b-c", b".qmail-a-b-default", b".qmail-a-default", b".qmail-default"]),
        (b"-", b"A.B", [b".qmail-a:b", b".qmail-default"]),
        (b"-", b"../../etc/passwd", [b".qmail-default"]),
        (b"-", b"a-/b-c", [b".qmail-a-default", b".qmail-default"]),
    ],
)
def test_the_order_of_the_search(dash: bytes, ext: bytes, names: list[bytes]) -> None:
    """The exact name, then shorter and shorter defaults (traps 7 and 8)."""
    assert [name for name, _ in search(dash, ext)] == names


@pytest.mark.parametrize(
    ("ext", "defaults", "reason"),
    [
        (b"A-B.C", [None, b"B.C", b"A-B.C"], "DEFAULT keeps the original spelling (trap 7)"),
        (b"x-Default", [b"Default", b"Default", b"x-Default"], "an exact name that ends in default sets it, too"),
        (b"", [None, b""], "the bare user"),
    ],
)
def test_what_default_would_be(ext: bytes, defaults: list[bytes | None], reason: str) -> None:
    """Each default file leaves the rest of the extension."""
    assert [default for _, default in search(b"-", ext)] == defaults, reason


@given(st.binary(max_size=30))
def test_no_extension_names_another_folder(ext: bytes) -> None:
    """Addresses come from strangers."""
    for name, _ in search(b"-", ext):
        assert b"/" not in name
        assert b"\0" not in name
        assert name.startswith(b".qmail-")
        assert b".." not in name


def test_the_exact_name() -> None:
    """Small letters, colons for dots."""
    assert file_name(b"-", b"Foo.Bar") == b".qmail-foo:bar"


@pytest.mark.parametrize(
    ("text", "action", "target", "reason"),
    [
        (b"./Maildir/", Action.MAILDIR, b"./Maildir/", "a dot first, a slash last"),
        (b"/var/box/", Action.MAILDIR, b"/var/box/", "a slash first and last"),
        (b"./Mailbox", Action.MBOX, b"./Mailbox", "no slash at the end"),
        (b"|cat >x/", Action.PROGRAM, b"cat >x/", "all after the bar"),
        (b"&a@b", Action.FORWARD, b"a@b", "an ampersand"),
        (b"a@b", Action.FORWARD, b"a@b", "or nothing"),
        (b" a@b", Action.FORWARD, b" a@b", "even a leading blank belongs to the address"),
        (b"a@b \t", Action.FORWARD, b"a@b", "blanks at the end do not"),
        (b"./Maildir/ ", Action.MAILDIR, b"./Maildir/", "nor here"),
    ],
)
def test_an_instruction(text: bytes, action: Action, target: bytes, reason: str) -> None:
    """A line is known by its first character."""
    assert instructions(text + b"\n") == instructions(text) == [Instruction(action, target)], reason


def test_comments_empty_lines_and_unknown_plus_lines_do_nothing() -> None:
    """A file of only comments delivers nowhere, and that is a success (trap 9)."""
    assert instructions(b"# nowhere\n\n+other\n   \n#\n") == []


def test_an_empty_first_line_is_an_error() -> None:
    """Qmail defers such a file."""
    with pytest.raises(DotQmailError) as caught:
        instructions(b"\n./Maildir/\n")
    assert caught.value.enhanced == "4.2.1"


@pytest.mark.parametrize("line", [b"./Maildir/", b"./Mailbox", b"|true"])
def test_a_list_file_may_only_forward(line: bytes) -> None:
    """+list, from its line on, and the x bit for the whole file."""
    assert len(instructions(line + b"\n+list\n&a@b\n")) == 2
    with pytest.raises(ForwardOnlyError) as caught:
        instructions(b"+list\n&a@b\n" + line)
    assert caught.value.enhanced == "4.7.0"
    with pytest.raises(ForwardOnlyError):
        instructions(line, forward_only=True)
    assert instructions(b"a@b", forward_only=True) == [Instruction(Action.FORWARD, b"a@b")]


CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent / "corpus" / "dot-qmail").iterdir())]


@given(st.one_of(st.sampled_from(CORPUS), st.binary(max_size=200)))
def test_no_file_crashes_the_reader(text: bytes) -> None:
    """Users write their files themselves; the kept ones have been thought of."""
    try:
        found = instructions(text)
    except DotQmailError:
        return
    assert all(b"\n" not in instruction.target for instruction in found)
