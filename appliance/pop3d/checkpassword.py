"""`paperpath-checkpassword PROGRAM [ARGUMENT …]`: is this the password of a mailbox of the configuration in force?

The interface of http://cr.yp.to/checkpwd/interface.html: at most 512 bytes come from descriptor 3, `name NUL password
NUL timestamp NUL`.  If they are right it goes to the mailbox's home, sets USER, HOME and SHELL, and becomes
the program.  Exit status otherwise: 1 wrong, 2 misused, 111 try again later.
"""

import os
import signal
import sys
import time
from pathlib import Path

from appliance import accounts, log, password
from appliance.accounts import Account, Accounts
from appliance.control import Control
from appliance.state import State

WRONG, MISUSE, LATER = 1, 2, 111
SLOW = 1.0  # seconds a wrong password takes at least

_LIMIT = 512  # bytes
_CREDENTIALS = 3
_SUBFOLDERS = ("tmp", "new", "cur")


def main() -> int:
    """The exit status, unless it becomes the program."""
    log.setup("checkpassword", fd=2)  # descriptor 1 is the client
    began = time.monotonic()
    if len(sys.argv) < 2:
        return _failed(MISUSE, "usage: paperpath-checkpassword program [argument ...]")
    try:
        name, given, challenge = credentials(_read())
    except (OSError, ValueError) as error:
        return _failed(MISUSE, f"descriptor {_CREDENTIALS}: {error}")
    root = State(Path(os.environ.get("PAPERPATH_STATE") or "/var/lib/paperpath").resolve())
    try:
        account = _account(Accounts.of(Control(root).current()), name, given, challenge)
        if account is None:
            log.login_failed(os.environ.get("TCPREMOTEIP", ""), name, "PASS", "no such account, or not its password")
            time.sleep(max(0.0, began + SLOW - time.monotonic()))
            return WRONG
        _enter(root, account)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that would be inherited
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # that is its purpose
    except (OSError, ValueError) as error:
        return _failed(LATER, str(error))


def _read() -> bytes:
    """What stands on the descriptor, a byte more than may. Raises OSError."""
    data = b""
    while len(data) <= _LIMIT and (piece := os.read(_CREDENTIALS, _LIMIT + 1 - len(data))):
        data += piece
    os.close(_CREDENTIALS)
    return data


def credentials(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Name, password and timestamp, each with a NUL. Raises ValueError for what is none."""
    fields = data.split(b"\0")
    if len(data) > _LIMIT or len(fields) < 4:
        raise ValueError(f"name, password and timestamp are needed, each with a NUL, in {_LIMIT} bytes")
    return fields[0], fields[1], fields[2]


def _account(table: Accounts, name: bytes, given: bytes, challenge: bytes) -> Account | None:
    """What stands for the password may be APOP's digest: the interface does not tell which. Raises OSError, ValueError."""
    found = accounts.proven(table, name, given, challenge, b"")
    if found is None and password.is_digest(given):
        found = accounts.proven(table, name, b"", challenge, given)
    return found


def _enter(root: State, account: Account) -> None:
    """The mailbox's home, its owner and its environment. Raises OSError."""
    if os.geteuid() == 0:  # programs that serve mail are not root
        owner = root.mail.stat()
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
    home = root.root / os.fsdecode(account.home)
    os.umask(0o077)
    if account.maildir:
        for sub in _SUBFOLDERS:  # no mail has come yet: an empty mailbox
            (home / os.fsdecode(account.maildir) / sub).mkdir(0o700, parents=True, exist_ok=True)
    os.chdir(home)
    os.environ.update(USER=os.fsdecode(account.address), HOME=str(home), SHELL="/bin/sh")


def _failed(status: int, why: str) -> int:
    log.trouble("paperpath-checkpassword can't check a password", why)
    return status
