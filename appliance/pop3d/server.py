"""What the sessions share: settings, limits, threads, log-ins."""

import asyncio
import contextlib
import os
import secrets
import time
import traceback
from collections import Counter
from pathlib import Path

from appliance import log
from appliance.accounts import Account
from appliance.in_force import InForce
from appliance.pop3d.logins import Logins, network
from appliance.pop3d.mailbox import Mailbox
from appliance.pop3d.session import Session
from appliance.pop3d.settings import Settings
from appliance.state import State
from appliance.threads import Threads

THREADS = 4  # that wait for the disk
STOP = 5.0  # seconds that a session after QUIT has at an orderly stop

_BUSY = b"-ERR [SYS/TEMP] too many sessions, try again later\r\n"
_UNUSABLE = b"-ERR [SYS/TEMP] configuration problem, try again later\r\n"


class Server:
    """The sessions and what they need.

    Raises OSError, LookupError, ValueError if the active generation can't be used.
    """

    def __init__(self, state: State) -> None:
        self._root = state.root
        self.configuration = InForce(state, Settings)
        self.threads = Threads(THREADS)
        self.logins = Logins()
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._per_client: Counter[bytes] = Counter()
        self._opened = {folder: _which(folder) for folder in self.configuration.settings.folders}
        self.asked_to_end, self.why = asyncio.Event(), ""

    def ask_to_end(self, why: str) -> None:
        """Let the program end in order."""
        self.why = self.why or why
        self.asked_to_end.set()

    def look_at_secret_folders(self) -> None:
        """A secret can't be read. Landlock opened folders, not their names: one made or replaced since is closed, so begin anew."""
        for folder, then in self._opened.items():
            if _which(folder) != then:
                self.ask_to_end(f"{folder} is another folder than at the start; started again, to be let in")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For the event loop: one connection."""
        peer = writer.get_extra_info("peername")
        task = asyncio.current_task()
        assert task is not None
        if not peer:  # it is gone already
            writer.transport.abort()
            return
        where = network(peer[0])
        settings = self.configuration.current()
        refusal = self._refusal(settings, where)
        if settings is None or refusal:
            _say(writer, refusal)
            writer.close()
            return
        session = Session(self, settings, reader, writer)
        self._sessions[task] = session
        self._per_client[where] += 1
        try:
            await session.run()
        except asyncio.CancelledError:
            _say(writer, b"-ERR [SYS/TEMP] shutting down, try again later\r\n")
        except Exception:  # noqa: BLE001  # a bug ends one session, and is told
            log.trouble(f"pop3d: a session with {peer[0]} ended by an error nobody foresaw", traceback.format_exc())
        finally:
            del self._sessions[task]
            self._per_client[where] -= 1
            if not self._per_client[where]:
                del self._per_client[where]
            await _close(writer)

    def _refusal(self, settings: Settings | None, where: bytes) -> bytes:
        if settings is None:
            return _UNUSABLE
        full = settings.max_sessions and len(self._sessions) >= settings.max_sessions
        crowded = settings.max_sessions_per_client and self._per_client[where] >= settings.max_sessions_per_client
        return _BUSY if full or crowded else b""

    def challenge(self, me: bytes) -> bytes:
        """What APOP digests: never the same twice (RFC 1939 section 7), in qmail's form."""
        return b"<%d.%d.%b@%b>" % (os.getpid(), time.time_ns(), secrets.token_hex(8).encode(), me)

    def open(self, account: Account) -> Mailbox:
        """The mailbox of an account; made if no mail has come yet.  Blocks. Raises InUse, OSError."""
        maildir = os.path.join(self._root, os.fsdecode(account.home), os.fsdecode(account.maildir))
        try:
            return Mailbox(maildir, inside=True)
        except FileNotFoundError:
            for part in ("tmp", "new", "cur"):
                os.makedirs(os.path.join(maildir, part), 0o770, exist_ok=True)
            return Mailbox(maildir, inside=True)

    async def stop(self) -> None:
        """End the sessions, those after QUIT when they have removed what was to be removed."""
        for task, session in list(self._sessions.items()):
            if not session.updating:
                task.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=STOP)
        self.logins.close()
        self.threads.shutdown(wait=False, cancel_futures=True)


def _which(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another one of its name; None: there is none."""
    try:
        about = os.stat(folder)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _say(writer: asyncio.StreamWriter, text: bytes) -> None:
    if not writer.is_closing():  # the client may have left
        writer.write(text)


async def _close(writer: asyncio.StreamWriter) -> None:
    """What was written goes out first; a client that does not read it is left after a moment."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(STOP):
            await writer.wait_closed()
            return
    writer.transport.abort()
