"""Mailboxes and configurations at work, and what must be there after a power cut."""

import os
from pathlib import Path

from appliance.config.activate import activate, active, read
from appliance.local import mbox
from appliance.local.content import Content
from appliance.local.disk import Disk
from appliance.local.maildir import Attempt, Letter, Maildirs
from appliance.state import State

HEAD = b"Return-Path: <bob@elsewhere.example>\nDelivered-To: alice@example.org\n"
FROM = b"From bob@elsewhere.example Sun Nov 22 20:00:00 2026\n"
LARGE = 150_000
MAILBOXES = (b"alice", b"bob")


def text(number: int, size: int = 3000) -> bytes:
    """A message; it has none of the lines that an mbox quotes."""
    return b"Subject: %d\n\n" % number + (b"message %d, a line of it\n" % number) * (size // 20)


# -- Maildirs ---------------------------------------------------------------------------------


def fill_maildirs(root: Path, mark, *, whole: bool) -> None:
    """Batches of letters into two new Maildirs, and one that is made anew after it was removed; `whole`: by syncfs."""
    mail, large = os.fsencode(root / "mail"), root.parent / "large"
    large.write_bytes(text(0, LARGE))
    disk = Disk(mail, whole=whole)
    maildirs = Maildirs(mail, disk)
    for batch in range(4):
        letters = [_letter(mail, batch * 10 + n, n, large) for n in range(1, 5)]
        for letter, content in letters:
            mark("sent", letter.folder.removeprefix(mail), HEAD + content)
        maildirs.deliver([letter for letter, _ in letters])
        for letter, content in letters:
            if letter.attempt.failure is None:
                mark("done", letter.folder.removeprefix(mail), HEAD + content)
            letter.content.close()
        if batch == 2:
            _remove(mail + b"/example.org/bob")
            mark("removed", b"/example.org/bob/Maildir")
    disk.close()


def _letter(mail: bytes, number: int, n: int, large: Path) -> tuple[Letter, bytes]:
    folder = mail + b"/example.org/" + MAILBOXES[n % 2] + b"/Maildir"
    content = text(0, LARGE) if n == 4 else text(number)
    fd = os.open(large, os.O_RDONLY) if n == 4 else -1
    return Letter(folder, HEAD, Content(None if n == 4 else content, len(content), fd), Attempt()), content


def _remove(folder: bytes) -> None:
    """Its owner has no use for it any more."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(place, name))
        for name in folders:
            os.rmdir(os.path.join(place, name))
    os.rmdir(folder)


def judge_maildirs(image: Path, marks: list[tuple]) -> None:
    """What was reported is in new/, whole; what is there was sent."""
    here = {}
    for name in MAILBOXES:
        folder = image / "mail/example.org" / os.fsdecode(name) / "Maildir"
        here[b"/example.org/" + name + b"/Maildir"] = [each.read_bytes() for each in folder.glob("new/*")]
    removed = max((n for n, mark in enumerate(marks) if mark[0] == "removed"), default=-1)
    gone = b"/example.org/bob/Maildir"
    for folder, found in here.items():
        sent = [mark[2] for mark in marks if mark[:2] == ("sent", folder)]
        assert all(content in sent for content in found), "a message in new/ that is torn"
        done = [m[2] for n, m in enumerate(marks) if m[:2] == ("done", folder) and (folder != gone or n > removed)]
        if not _being_removed(folder, marks):
            assert all(found.count(content) >= done.count(content) for content in done), "a delivered message is lost"


def _being_removed(folder: bytes, marks: list[tuple]) -> bool:
    """Between the last delivery of the third batch and the mark nobody can tell."""
    done = sum(mark[:2] == ("done", folder) for mark in marks)
    return folder.endswith(b"/bob/Maildir") and done == 6 and not any(mark[0] == "removed" for mark in marks)


# -- an mbox ------------------------------------------------------------------------------------


def fill_mbox(root: Path, mark) -> None:
    """Messages into an mbox in a new folder; the first attempt fails when its file is there already."""
    mail = os.fsencode(root / "mail")
    path = mail + b"/example.org/alice/mbox"
    try:
        mbox.deliver(path, mail, FROM, HEAD, Broken(None, 0))
    except OSError:
        mark("failed")
    for number in range(1, 6):
        content = text(number, 3000 * number)
        mark("sent", content)
        mbox.deliver(path, mail, FROM, HEAD, Content(content, len(content)))
        mark("done", content)


class Broken(Content):
    """A content that can't be read."""

    def chunks(self, head: bytes):
        yield head
        raise OSError("it can't be read")


def judge_mbox(image: Path, marks: list[tuple]) -> None:
    """What was reported is in it, whole and in order; the next one is not read as part of what is torn."""
    mail = os.fsencode(image / "mail")
    path = mail + b"/example.org/alice/mbox"
    content = text(99)
    mbox.deliver(path, mail, FROM, HEAD, Content(content, len(content)))
    found = Path(os.fsdecode(path)).read_bytes()
    position = 0
    for done in [mark[1] for mark in marks if mark[0] == "done"]:
        position = found.find(FROM + HEAD + done + b"\n", position)
        assert position >= 0, "a delivered message is lost"
        position += 1
    assert found.endswith(FROM + HEAD + content + b"\n")
    before = found[: -len(FROM + HEAD + content) - 1]
    assert not before or before.endswith(b"\n\n"), "what comes next is part of what was torn"


# -- configurations -----------------------------------------------------------------------------------


def generation(number: int) -> dict[str, bytes]:
    """The files of one; the second and later ones have secrets."""
    files = {"control/me": b"mx%d.example.org\n" % number, "control/rcpthosts": b"example.org\n" * 900}
    files["users/assign"] = b"=%d:\n.\n" % number
    return files | ({"secrets/passwords.cdb": b"secret %d" % number} if number > 1 else {})


def change_configuration(root: Path, mark) -> None:
    """Three configurations, one after the other, and the first again."""
    for number in (1, 2, 3, 1):
        mark("begun", number)
        activate(generation(number), State(root))
        mark("done", number)


def judge_configuration(image: Path, marks: list[tuple]) -> None:
    """The last one is in force, or the one that was under way; whole; and the next one comes into force."""
    state = State(image)
    last = max((n for n, mark in enumerate(marks) if mark[0] == "done"), default=-1)
    possible = [mark[1] for mark in marks[max(last, 0) :]] + [4]  # the next one, if the power went twice
    try:
        name = active(state)
    except OSError as error:
        raise AssertionError(f"no configuration: {error}") from error
    if name is None:
        assert last < 0, "no configuration is in force any more"
    else:
        files = read(state.generations / name)
        if (state.secrets / name).exists():
            files |= {f"secrets/{path}": data for path, data in read(state.secrets / name).items()}
        assert files in [generation(number) for number in possible], "not one of those that may be in force, whole"
    activate(generation(4), state)
    assert read(state.generations / active(state)).items() <= generation(4).items()
