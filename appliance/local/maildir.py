"""Delivery into Maildirs, many messages at a time (http://cr.yp.to/proto/maildir.html).

All files of a batch are written to tmp/ and made durable together, then renamed to new/, and
those folders are made durable; only then is any of them delivered.  One file's failure is
its own.  qmail syncs no directory; Linux needs it.
"""

import itertools
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.local.content import Content
from appliance.local.disk import Disk

_NUMBERS = itertools.count(1)  # of all files of this process; threads may take them at the same time
_TOGETHER = 400  # files open at a time
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass(slots=True)
class Letter:
    """A file to be: `head` and `content` in the Maildir `folder`.

    attempt  of one recipient; its letters are delivered all or none, as far as can be known beforehand
    """

    folder: bytes
    head: bytes
    content: Content
    attempt: "Attempt"
    name: bytes = b""
    fd: int = -1


class Attempt:
    """What becomes of one recipient; `failure` is why it has not got its mail."""

    __slots__ = ("failure",)

    def __init__(self) -> None:
        self.failure: Exception | None = None


class Maildirs:
    """Writes letters.

    mail   the folder of all mailboxes: below it, what is missing is made
    sizes  names tell the size on the wire (`,W=n`, as Dovecot's), so that POP3 lists without reading
    """

    sizes = False

    def __init__(self, mail: bytes, disk: Disk) -> None:
        self._mail = mail
        self._disk = disk
        # slash and colon mean something in a Maildir's names
        host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
        self._tail = os.fsencode(host[:64])
        self._used: set[bytes] = set()

    def deliver(self, letters: Sequence[Letter]) -> None:
        """Deliver all; afterwards each letter's attempt has a failure, or the letter is durable in new/."""
        for start in range(0, len(letters), _TOGETHER):
            self._deliver(letters[start : start + _TOGETHER])

    def _deliver(self, letters: Sequence[Letter]) -> None:
        written: list[Letter] = []
        try:
            written.extend(letter for letter in letters if letter.attempt.failure is None and self._write(letter))
            if written:
                errors = self._disk.sync_files([letter.fd for letter in written])
                for letter in written if errors else ():
                    letter.attempt.failure = letter.attempt.failure or errors.get(letter.fd)
        finally:
            for letter in written:
                os.close(letter.fd)
        moved: dict[bytes, list[Letter]] = {}
        for letter in written:
            if self._rename(letter):
                moved.setdefault(letter.folder, []).append(letter)
        if moved:
            self._sync(moved)

    def _sync(self, moved: dict[bytes, list[Letter]]) -> None:
        """Make the new names durable, and those of the folders above them when first used."""
        above = {folder: self._above(folder) for folder in moved if folder not in self._used}
        errors = self._disk.sync_folders(
            {path for folder in moved for path in (folder + b"/new", *above.get(folder, ()))}
        )
        for folder, letters in moved.items():
            for path in (folder + b"/new", *above.get(folder, ())) if errors else ():
                for letter in letters:
                    letter.attempt.failure = letter.attempt.failure or errors.get(path)
        for letter in itertools.chain.from_iterable(moved.values()) if errors else ():
            if letter.attempt.failure is not None:
                _remove(letter, b"/new")  # it comes again: as long as the disk fails, each attempt would leave a copy
        if not errors:
            self._used.update(above)

    def _above(self, folder: bytes) -> list[bytes]:
        """The Maildir and the folders above it, up to that of all mailboxes."""
        found = [folder]
        while folder.startswith(self._mail + b"/"):
            folder = os.path.dirname(folder)
            found.append(folder)
        return found

    def _write(self, letter: Letter) -> bool:
        """Write the file in tmp/, not yet durable."""
        now = time.time_ns()
        seconds, micro = now // 1_000_000_000, now // 1000 % 1_000_000
        letter.name = b"/%d.M%dP%dQ%d.%b" % (seconds, micro, os.getpid(), next(_NUMBERS), self._tail)
        if self.sizes and (size := letter.content.wire_size(letter.head)) is not None:
            letter.name += b",W=%d" % size
        try:
            letter.fd = self._open(letter.folder, letter.name)
        except OSError as error:
            letter.attempt.failure = error
            return False
        try:
            letter.content.write_to(letter.fd, letter.head)
        except OSError as error:
            letter.attempt.failure = error
            os.close(letter.fd)
            _remove(letter)
            return False
        return True

    def _open(self, folder: bytes, name: bytes) -> int:
        path = folder + b"/tmp" + name
        try:
            return os.open(path, _NEW_FILE, 0o660)
        except FileNotFoundError:
            if not folder.startswith(self._mail + b"/"):
                raise
            self._used.discard(folder)  # its names were durable, and somebody has removed it
            for sub in (
                b"/cur",
                b"/new",
                b"/tmp",
            ):  # tmp is what is missed: a crash before the last leaves no half of a Maildir
                make_folder(folder + sub)
            return os.open(path, _NEW_FILE, 0o660)

    def _rename(self, letter: Letter) -> bool:
        """Move the file to new/, unless this recipient has failed already."""
        if letter.attempt.failure is None:
            try:
                os.rename(letter.folder + b"/tmp" + letter.name, letter.folder + b"/new" + letter.name)
            except OSError as error:
                letter.attempt.failure = error
            else:
                return True
        _remove(letter)
        return False


def make_folder(path: bytes) -> None:
    """Make a folder and its parents for their owner only. Raises OSError."""
    try:
        os.mkdir(path, 0o770)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        os.mkdir(path, 0o770)


def _remove(letter: Letter, folder: bytes = b"/tmp") -> None:
    try:
        os.unlink(letter.folder + folder + letter.name)
    except OSError:  # in tmp a reader removes it after 36 hours, as the Maildir rules say; in new it is a copy too many
        return
