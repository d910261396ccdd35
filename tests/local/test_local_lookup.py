"""Whose instructions count: users/cdb, the generation's dot-qmail files, the home's own."""

import errno
import os
from pathlib import Path

import pytest
from local_parts import make_state

from appliance.control import Generation
from appliance.errors import MailError, Permanent, Temporary
from appliance.local.lookup import Book, check_home
from appliance.local.plan import Plan

FILES = {
    "mail/example.org/.qmail-team": b"&compiled@x",
    "mail/example.org/.qmail-list-default": b"&list@x",
    "mail/example.org/.qmail-a:b": b"&dots@x",
    "mail/example.org/bob/.qmail": b"./Compiled/\n",
}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    state = make_state(tmp_path, FILES)
    (state.mail / "example.org/alice").mkdir(parents=True)
    (state.mail / "example.org/bob").mkdir()
    return Book(Generation(state.generations / "g1"), os.fsencode(tmp_path))


def found(book: Book, name: bytes) -> Plan:
    return book.plan(book.resident(b"example.org-" + name + b"@example.org"))


@pytest.mark.parametrize(
    ("name", "forward", "reason"),
    [
        (b"team", b"compiled@x", "an alias of the generation"),
        (b"TEAM", b"compiled@x", "in any case"),
        (b"list-foo", b"list@x", "a default file"),
        (b"A.B", b"dots@x", "dots are colons in file names (trap 7)"),
        (b"own", b"own@x", "a file in the home itself"),
    ],
)
def test_a_dot_qmail_file_is_found(book: Book, tmp_path: Path, name: bytes, forward: bytes, reason: str) -> None:
    """In qmail's order of names, each first in the generation, then in the home."""
    home = tmp_path / "mail/example.org"
    (home / ".qmail-own").write_bytes(b"&own@x")
    (home / ".qmail-team").write_bytes(b"&changed by a delivery@x")
    assert found(book, name).forwards == (forward,), reason


def test_the_generation_s_file_comes_before_the_home_s(book: Book, tmp_path: Path) -> None:
    """A delivery can't rewrite routing."""
    (tmp_path / "mail/example.org/bob/.qmail").write_bytes(b"&thief@x")
    assert found(book, b"bob").maildirs == (os.fsencode(tmp_path) + b"/mail/example.org/bob/Compiled",)


@pytest.mark.parametrize("text", [None, b""])
def test_a_mailbox_without_instructions_gets_the_default_delivery(
    book: Book, tmp_path: Path, text: bytes | None
) -> None:
    """No file, or one of 0 bytes, whose x bit then means nothing (trap 9)."""
    home = tmp_path / "mail/example.org/alice"
    if text is not None:
        (home / ".qmail").write_bytes(text)
        (home / ".qmail").chmod(0o700)
    assert found(book, b"alice").maildirs == (os.fsencode(home) + b"/Maildir",)


def test_a_home_s_file_is_read_anew_each_time(book: Book, tmp_path: Path) -> None:
    """Users change their minds between two messages."""
    file = tmp_path / "mail/example.org/alice/.qmail"
    file.write_bytes(b"&one@x")
    assert found(book, b"alice").forwards == (b"one@x",)
    file.write_bytes(b"# nowhere\n")
    assert found(book, b"alice") == Plan((), ())


@pytest.mark.parametrize("recipient", [b"example.org-nobody", b"example.org-", b"stranger", b"example.org-alice-x"])
def test_nobody_is_nobody_for_good(book: Book, recipient: bytes) -> None:
    """550 5.1.1, in qmail's well-known words."""
    with pytest.raises(Permanent) as caught:
        book.plan(book.resident(recipient + b"@example.org"))
    assert (caught.value.code, caught.value.enhanced) == (550, "5.1.1")
    assert "no mailbox here by that name" in caught.value.text


@pytest.mark.parametrize(
    ("text", "mode", "enhanced", "reason"),
    [
        (b"&a@b", 0o602, "4.7.0", "writable by everybody"),
        (b"./Maildir/", 0o700, "4.7.0", "the x bit: it may only forward"),
        (b"+list\n./Maildir/", 0o600, "4.7.0", "+list: the same from there on"),
        (b"\n./Maildir/", 0o600, "4.2.1", "an empty first line"),
        (b"&a@b\n+list\n|program", 0o600, "4.7.0", "a program line after +list"),
        (b"#" * 1_048_577, 0o600, "4.3.0", "no instructions are that long"),
    ],
)
def test_a_file_that_can_not_be_followed_defers(
    book: Book, tmp_path: Path, text: bytes, mode: int, enhanced: str, reason: str
) -> None:
    """Somebody may mend it; nothing bounces."""
    file = tmp_path / "mail/example.org/alice/.qmail"
    file.write_bytes(text)
    file.chmod(mode)
    with pytest.raises(Temporary) as caught:
        found(book, b"alice")
    assert caught.value.enhanced == enhanced, reason


def test_a_link_leads_to_a_file_of_the_home_only(book: Book, tmp_path: Path) -> None:
    """Another mailbox's mail is nobody's instructions, whatever a program has linked to it."""
    home = tmp_path / "mail/example.org/alice"
    (home / "real").write_bytes(b"&own@x")
    (home / ".qmail").symlink_to("real")
    assert found(book, b"alice").forwards == (b"own@x",)
    (home / ".qmail").unlink()
    (home.parent / "bob/mail").write_bytes(b"secret@x")
    (home / ".qmail").symlink_to("../bob/mail")
    with pytest.raises(Temporary, match="outside its home"):
        found(book, b"alice")


@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling link"])
def test_what_is_no_regular_file_is_absent(book: Book, tmp_path: Path, kind: str) -> None:
    """The search goes on, and a FIFO does not stop the program."""
    path = tmp_path / "mail/example.org/alice/.qmail"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("missing")
    assert found(book, b"alice").maildirs


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_file_that_can_not_be_read_defers(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It may say where the mail goes: what is next in the search, or the default, would be a guess."""
    really = os.open

    def refuse(path: bytes, flags: int, mode: int = 0o777) -> int:
        if os.path.basename(path) == b".qmail":
            raise OSError(number, os.strerror(number))
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Temporary) as caught:
        found(book, b"alice")
    assert caught.value.enhanced == "4.3.0"


def test_the_default_delivery_may_be_several_lines(tmp_path: Path) -> None:
    """It is a dot-qmail file for all who have none."""
    make_state(tmp_path, {"control/defaultdelivery": b"# all\n./Maildir/\n&archive@x\n"})
    book = Book(Generation(tmp_path / "generations/g1"), os.fsencode(tmp_path))
    home = os.fsencode(tmp_path) + b"/mail/example.org/alice"
    assert found(book, b"alice") == Plan((home + b"/Maildir",), (b"archive@x",))


def test_an_empty_default_delivery_defers_instead_of_losing_mail(tmp_path: Path) -> None:
    """An empty control file is not a missing one (trap 2), and mail must go somewhere."""
    make_state(tmp_path, {"control/defaultdelivery": b""})
    with pytest.raises(Temporary):
        found(Book(Generation(tmp_path / "generations/g1"), os.fsencode(tmp_path)), b"alice")


@pytest.mark.parametrize(("mode", "enhanced"), [(0o702, "4.7.0"), (0o1700, "4.2.1"), (0o700, None)])
def test_a_home_open_to_the_world_or_closed_by_its_owner_defers(
    tmp_path: Path, mode: int, enhanced: str | None
) -> None:
    """World-writable; or sticky, which says that the owner is changing something."""
    home = tmp_path / "home"
    check_home(os.fsencode(home))  # missing: it will be made
    home.mkdir()
    home.chmod(mode)
    if enhanced is None:
        check_home(os.fsencode(home))
        return
    with pytest.raises(MailError) as caught:
        check_home(os.fsencode(home))
    assert caught.value.enhanced == enhanced


@pytest.mark.parametrize(
    ("files", "sender"),
    [
        ([], b"s@x"),
        ([".qmail-team-owner"], b"team-owner@example.org"),
        ([".qmail-team-owner", ".qmail-team-owner-default"], b"team-owner-@example.org-@[]"),
        ([".qmail-team-owner-default"], b"s@x"),
    ],
)
def test_an_owner_file_beside_an_alias_takes_its_bounces(
    book: Book, tmp_path: Path, files: list[str], sender: bytes
) -> None:
    """By its existence alone."""
    for name in files:
        (tmp_path / "mail/example.org" / name).touch()
    assert book.forward_sender(book.resident(b"example.org-Team@example.org"), b"s@x").lower() == sender


def test_an_owner_is_that_of_the_whole_extension(book: Book, tmp_path: Path) -> None:
    """Also where the instructions are those of a default file."""
    home = tmp_path / "mail/example.org"
    (home / ".qmail-list-default-owner").touch()
    foo = book.resident(b"example.org-list-foo@example.org")
    assert book.forward_sender(foo, b"s@x") == b"s@x"
    (home / ".qmail-list-foo-owner").touch()
    assert book.forward_sender(foo, b"s@x") == b"list-foo-owner@example.org"
