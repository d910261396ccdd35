"""A client's connection from its greeting to its end.

The event loop only reads lines and writes pieces; what needs the disk is done in threads, piece by
piece, so that a huge mailbox holds up nobody and a slow client holds no thread.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from appliance import log
from appliance.accounts import Account
from appliance.pop3d.authorization import GIVE_UP, Authorization, Login
from appliance.pop3d.logins import Crowded
from appliance.pop3d.mailbox import InUse, Mailbox
from appliance.pop3d.transaction import Transaction

if TYPE_CHECKING:
    from appliance.pop3d.server import Server
    from appliance.pop3d.settings import Settings

LOGIN = 600.0  # seconds from the greeting to a log-in; RFC 1939 section 3 wants ten minutes before a client is left
IDLE = 1200.0  # seconds for each command, as qmail-pop3d, and for each piece that the client has to read

_AUTHENTICATION = b"-ERR [AUTH] that is no account here, or not its password\r\n"  # RFC 3206 section 4
_LATER = b"-ERR [SYS/TEMP] log-ins can't be checked now, try again later\r\n"
_CROWDED = b"-ERR [SYS/TEMP] too many log-ins from your address, try again later\r\n"
_IN_USE = b"-ERR [IN-USE] another session has this mailbox\r\n"  # RFC 2449 section 8.1.1
_NO_MAILBOX = b"-ERR [SYS/PERM] mail of this address is not kept in a mailbox\r\n"
_NO_ACCESS = b"-ERR [SYS/TEMP] the mailbox can't be opened now\r\n"
_LINE_TOO_LONG = b"-ERR this line is too long\r\n"


_Given = TypeVar("_Given")
_Result = TypeVar("_Result")


class Ended(Exception):
    """The session is over; the text is why, for the log."""


class Session:
    """One connection.

    updating  it removes mail after QUIT: the program waits for it when it stops
    """

    def __init__(
        self, server: "Server", settings: "Settings", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._settings = settings
        self._reader, self._writer = reader, writer
        self._client: str = writer.get_extra_info("peername")[0]
        self.updating = False

    async def run(self) -> None:
        """From the greeting to the end; logs what there is to say."""
        try:
            async with asyncio.timeout(LOGIN):
                account, mailbox = await self._log_in()
        except (Ended, TimeoutError, ConnectionError) as end:
            if str(end) != "QUIT":
                log.session_ended(self._client, str(end) or "timeout before a log-in")
            return
        try:
            await self._converse(account, Transaction(mailbox))
        finally:
            mailbox.close()

    # -- before the log-in

    async def _log_in(self) -> tuple[Account, Mailbox]:
        """Raises Ended, ConnectionError."""
        passwords = self._settings.may_send_passwords(self._client)
        challenge = (
            self._server.challenge(self._settings.me) if self._settings.offers_apop(passwords=passwords) else b""
        )
        before = Authorization(challenge, passwords=passwords)
        await self._send(before.greeting)
        while True:
            reply = before.answer(await self._line())
            if isinstance(reply, Login):
                account = await self._check(reply, challenge)
                if account is not None and (mailbox := await self._open(account)) is not None:
                    return account, mailbox
                continue
            await self._send(reply)
            if before.quitting:
                raise Ended("QUIT")
            if before.bad_commands >= GIVE_UP:
                raise Ended("too many commands that are none")

    async def _check(self, login: Login, challenge: bytes) -> Account | None:
        """The account, or None after the client was told why not."""
        how = "APOP" if login.digest else "PASS"
        try:
            account = await self._server.logins.check(self._client, login, challenge, self._settings.accounts)
        except Crowded:
            log.login_failed(self._client, login.user, how, "too many attempts at a time from this address")
            await self._send(_CROWDED)
            raise Ended("too many log-ins at a time") from None
        except (OSError, ValueError) as error:
            log.trouble(f"pop3d: the password of {login.user!r} can't be checked", error)
            await self._send(_LATER)
            self._server.look_at_secret_folders()
            return None
        if account is None:
            log.login_failed(self._client, login.user, how, "no such account, or not its password")
            await self._send(_AUTHENTICATION)
        return account

    async def _open(self, account: Account) -> Mailbox | None:
        """The account's mailbox, or None after the client was told why not."""
        if not account.maildir:
            await self._send(_NO_MAILBOX)
            return None
        try:
            mailbox = await self._in_thread(self._server.open, account, undo=Mailbox.close)
        except InUse:
            await self._send(_IN_USE)
            return None
        except OSError as error:
            log.trouble(f"pop3d: the mailbox of {account.address.decode()} can't be opened", error)
            await self._send(_NO_ACCESS)
            return None
        log.login(self._client, account.address, len(mailbox))
        return mailbox

    # -- after it

    async def _converse(self, account: Account, transaction: Transaction) -> None:
        reason = "QUIT"
        try:
            await self._send(transaction.greeting)
            while not transaction.quitting:
                async with asyncio.timeout(IDLE):
                    line = await self._line()
                await self._answer(transaction, line)
        except (Ended, TimeoutError, ConnectionError) as end:
            reason = str(end) or "timeout"
        except OSError as error:
            reason = "a message could not be read to its end"
            log.trouble(f"pop3d: {account.address.decode()}: {reason}", error)
        log.fetched(self._client, account.address, transaction.fetched, transaction.bytes, transaction.removed, reason)

    async def _answer(self, transaction: Transaction, line: bytes) -> None:
        answer = transaction.answer(line)
        if isinstance(answer, bytes):
            await self._send(answer)
            await asyncio.sleep(0)  # thousands of commands may have come at once: others have their turn
            return
        self.updating = transaction.quitting
        while (piece := await self._in_thread(_next, answer)) is not None:
            try:
                if piece:
                    await self._send(piece)
            except OSError:
                if not self.updating:
                    raise  # a client that has left after QUIT has still said QUIT

    async def _line(self) -> bytes:
        """The next line with its end. Raises Ended, ConnectionError."""
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            raise Ended("the client has left") from None
        except asyncio.LimitOverrunError:
            await self._send(_LINE_TOO_LONG)
            raise Ended("a line that is too long") from None

    async def _send(self, data: bytes) -> None:
        if self._writer.is_closing():  # uvloop would call it a bug to write now
            raise ConnectionResetError("the client has left")
        self._writer.write(data)
        async with asyncio.timeout(IDLE):
            await self._writer.drain()

    async def _in_thread(
        self, work: Callable[[_Given], _Result], given: _Given, undo: Callable[[_Result], None] | None = None
    ) -> _Result:
        """What the work returns, done in a thread; it is never left alone with descriptors that we close."""
        future = asyncio.get_running_loop().run_in_executor(self._server.threads, work, given)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if undo is not None and future.exception() is None:
                undo(future.result())
            raise


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
