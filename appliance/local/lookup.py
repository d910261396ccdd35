"""Who a recipient is, and which instructions are theirs: users/cdb, then the dot-qmail files.

A `Book` belongs to one generation.  What comes from the generation never changes and is kept;
what lies in a mailbox's home is looked at each time.
"""

import errno
import os
import stat
from dataclasses import dataclass
from typing import TypeVar

from appliance import dotqmail
from appliance.control import Generation
from appliance.dotqmail import DotQmailError
from appliance.errors import Permanent, Temporary
from appliance.local import plan
from appliance.local.plan import Plan
from appliance.route import Routes
from appliance.users import Users

NO_MAILBOX = "no mailbox here by that name"
_KEEP = 65536  # recipients, files and texts that are remembered
_LIMIT = 1024 * 1024  # bytes of a dot-qmail file
_WORLD = stat.S_IWOTH  # conf-patrn: who else may not write

# qmail's list of errors that may be gone at the next attempt; others mean that a file is absent
_PASSING = frozenset(
    {errno.EINTR, errno.ENOMEM, errno.ETXTBSY, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EDEADLK, errno.EBUSY}
    | {errno.ENFILE, errno.EMFILE, errno.EFBIG, errno.ENOSPC, errno.EUSERS, errno.EDQUOT, errno.ESTALE, errno.ENOLCK}
    | {errno.EPERM, errno.EACCES}
)


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Resident:
    """A recipient with a home here.

    home, compiled  the home itself, and its folder in the generation
    user            as in users/assign
    dash, ext       as there, the rest of a wildcard's address appended to ext
    names           of the dot-qmail files, in the order they are tried
    public          the address as the world knows it
    delivered_to    the line for the top of the message
    place           the home as the log names it
    """

    recipient: bytes
    public: bytes
    home: bytes
    compiled: bytes
    dash: bytes
    ext: bytes
    names: tuple[bytes, ...]
    delivered_to: bytes
    place: str
    user: bytes


class Book:
    """The residents and instructions of one generation. Raises OSError, ValueError if its files are damaged."""

    def __init__(self, generation: Generation, root: bytes) -> None:
        self._root = root
        self._folder = os.fsencode(generation.folder)
        self._users = Users.of(generation)
        self._routes = Routes.of(generation)
        default = generation.read("defaultdelivery")
        self._default = b"./Maildir/\n" if default is None else default
        self._residents: dict[bytes, Resident] = {}
        self._compiled: dict[bytes, tuple[bytes, int] | None] = {}
        self._plans: dict[tuple[bytes, bytes, bool], Plan] = {}

    def resident(self, recipient: bytes) -> Resident:
        """Who a recipient is. Raises Permanent: nobody; Temporary."""
        known = self._residents.get(recipient)
        if known is not None:
            return known
        local = recipient.rpartition(b"@")[0]
        try:
            user = self._users.find(local)
        except ValueError as damage:
            raise Temporary(451, "4.3.0", "cannot read the list of users", damage) from damage
        if user is None:
            raise Permanent(550, "5.1.1", NO_MAILBOX)
        found = Resident(
            recipient,
            self._routes.public(recipient),
            os.path.join(self._root, user.home.rstrip(b"/")),
            os.path.join(self._folder, user.home.strip(b"/")),
            user.dash,
            user.ext,
            tuple([name for name, _ in dotqmail.search(user.dash, user.ext)]),
            plan.delivered_to(recipient),
            "maildir " + os.fsdecode(user.home),
            user.name,
        )
        return _remember(self._residents, recipient, found)

    def plan(self, who: Resident) -> Plan:
        """The steps for a resident, found as qmail-local finds them. Raises MailError."""
        for name in who.names:
            file = self._file(who, name)
            if file is not None:
                return self._follow(*file, who.home)
        if who.dash:
            raise Permanent(550, "5.1.1", NO_MAILBOX)
        return self._follow(b"", 0, who.home)

    def default(self, who: Resident) -> bytes | None:
        """What the `default` in the name of the resident's file stands for: DEFAULT of a program. Raises Temporary."""
        for name, default in dotqmail.search(who.dash, who.ext):
            if self._file(who, name) is not None:
                return default
        return None

    def forward_sender(self, who: Resident, sender: bytes) -> bytes:
        """The sender for what is forwarded: the owner's address if there is an -owner file."""
        name = b"/" + dotqmail.file_name(who.dash, who.ext) + b"-owner"
        owner = self._exists(who, name)
        return plan.forward_sender(sender, who.public, owner, owner and self._exists(who, name + b"-default"))

    def _follow(self, text: bytes, mode: int, home: bytes) -> Plan:
        """The steps that a file asks for; an empty one (and none) stands for the default delivery."""
        if not text:
            text, mode = self._default, 0
        forward_only = bool(mode & stat.S_IXUSR)
        key = (home, text, forward_only)
        known = self._plans.get(key)
        if known is not None:
            return known
        try:
            lines = dotqmail.instructions(text, forward_only=forward_only)
        except DotQmailError as error:
            raise Temporary(451, error.enhanced, f"cannot follow the mailbox's .qmail file: {error}") from error
        return _remember(self._plans, key, plan.plan(lines, home))

    def _file(self, who: Resident, name: bytes) -> tuple[bytes, int] | None:
        """A dot-qmail file and its mode: the generation's, else the home's own. Raises Temporary."""
        return self._from_generation(who.compiled + b"/" + name) or _read(who.home + b"/" + name, who.home)

    def _from_generation(self, path: bytes) -> tuple[bytes, int] | None:
        if path not in self._compiled:
            _remember(self._compiled, path, _read(path))
        return self._compiled[path]

    def _exists(self, who: Resident, name: bytes) -> bool:
        if b"/" in name[1:] or b"\0" in name:
            return False
        return os.path.exists(who.compiled + name) or os.path.exists(who.home + name)


def check_home(home: bytes) -> None:
    """Raises Temporary if mail must not go into this home now; one that is missing will be made."""
    try:
        mode = os.stat(home).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise Temporary(451, "4.3.0", "cannot look into the mailbox's home", error) from error
    if mode & _WORLD:
        raise Temporary(451, "4.7.0", "the mailbox's home is writable by everybody")
    if mode & stat.S_ISVTX:
        raise Temporary(451, "4.2.1", "the mailbox is being changed by its owner (its home is sticky)")


def _read(path: bytes, home: bytes | None = None) -> tuple[bytes, int] | None:
    """A dot-qmail file and its mode, or None if there is none. Raises Temporary.

    home: where it must lie, links followed: else a mailbox's program could have another's mail read as instructions.
    """
    try:
        # not blocking: somebody may have put a FIFO there
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _PASSING:
            raise Temporary(451, "4.3.0", "cannot read the mailbox's .qmail file", error) from error
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        if home is not None and not os.readlink(b"/proc/self/fd/%d" % fd).startswith(os.path.realpath(home) + b"/"):
            raise Temporary(451, "4.7.0", "the mailbox's .qmail file lies outside its home")
        if status.st_mode & _WORLD:
            raise Temporary(451, "4.7.0", "the mailbox's .qmail file is writable by everybody")
        if status.st_size > _LIMIT:
            raise Temporary(451, "4.3.0", "the mailbox's .qmail file is too large")
        return os.read(fd, _LIMIT), status.st_mode
    except OSError as error:
        raise Temporary(451, "4.3.0", "cannot read the mailbox's .qmail file", error) from error
    finally:
        os.close(fd)


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    if len(memory) >= _KEEP:
        memory.clear()
    memory[key] = value
    return value
