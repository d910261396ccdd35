"""Log-ins, slowed down where they fail.

Each failure is answered a second after it came, or later, whether the account exists or not.  Failures of one address,
and for one account, make the next attempt from there wait: 1, 2, 4, 8 seconds, then 15.  Attempts from one address
stand in line.  Where an account logged in well lately from an address, it does not wait: a neighbour's wrong password
must not slow down a whole office.  Fifteen minutes after the last failure it is forgotten.

A right password is never refused, only late: nobody can lock another's mailbox by guessing.
"""

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from appliance import accounts, policy
from appliance.accounts import Account, Accounts
from appliance.pop3d.authorization import Login
from appliance.threads import Threads

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds, by the number of failures
ANSWER = 1.0  # seconds from an attempt to the answer that it failed
FORGET = 900.0  # seconds
WAITING = 50  # attempts of one address at a time: an office in the morning, and no more
HASHING = 2  # passwords at a time: each takes a core and 19 MiB or what its hash asks for

_KEPT = 10_000  # addresses and accounts


class Crowded(Exception):
    """Too many attempts wait from this address already."""


class Memory:
    """How often something has failed lately.  Pure."""

    def __init__(self) -> None:
        self._failures: dict[bytes, tuple[int, float]] = {}

    def pause(self, key: bytes, now: float) -> float:
        """How long the next attempt has to wait."""
        count, last = self._failures.get(key, (0, 0.0))
        return PAUSES[min(count, len(PAUSES) - 1)] if now - last < FORGET else 0.0

    def failed(self, key: bytes, now: float) -> None:
        """Once more."""
        count, last = self._failures.pop(key, (0, 0.0))
        if len(self._failures) >= _KEPT:  # the one that failed longest ago
            del self._failures[next(iter(self._failures))]
        self._failures[key] = (count + 1 if now - last < FORGET else 1, now)

    def forget(self, key: bytes) -> None:
        """It went well."""
        self._failures.pop(key, None)


@dataclass
class _Line:
    """Attempts of one address, one after another."""

    turn: asyncio.Lock
    waiting: int = 0


class Logins:
    """Checks log-ins for all sessions of the program.

    sleep  for tests
    """

    def __init__(self, sleep: Callable[[float], object] | None = None) -> None:
        self._hashing = Threads(HASHING)
        self._sleep = sleep or asyncio.sleep
        self._addresses, self._accounts = Memory(), Memory()
        self._lines: dict[bytes, _Line] = {}
        self._welcome: dict[tuple[bytes, bytes], None] = {}  # addresses and accounts that logged in well

    async def check(self, client: str, login: Login, challenge: bytes, table: Accounts) -> Account | None:
        """The account if the log-in is right, else None, later.  Raises Crowded; OSError, ValueError: it can't be told."""
        where, who = network(client), login.user.lower()
        if (where, who) in self._welcome:
            return await self._attempt(where, who, login, challenge, table)
        line = self._lines.setdefault(where, _Line(asyncio.Lock()))
        if line.waiting >= WAITING:
            raise Crowded
        line.waiting += 1
        try:
            async with line.turn:
                now = asyncio.get_running_loop().time()
                await self._pause(max(self._addresses.pause(where, now), self._accounts.pause(who, now)))
                return await self._attempt(where, who, login, challenge, table)
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[where]

    async def _attempt(
        self, where: bytes, who: bytes, login: Login, challenge: bytes, table: Accounts
    ) -> Account | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            account = await loop.run_in_executor(
                self._hashing, accounts.proven, table, login.user, login.password, challenge, login.digest
            )
        except (OSError, ValueError):
            await self._pause(began + ANSWER - loop.time())
            raise
        now = loop.time()
        if account is None:
            self._addresses.failed(where, now)
            self._accounts.failed(who, now)
            self._welcome.pop((where, who), None)
            await self._pause(began + ANSWER - now)
            return None
        self._addresses.forget(where)
        self._accounts.forget(who)
        self._welcome.pop((where, who), None)
        if len(self._welcome) >= _KEPT:
            del self._welcome[next(iter(self._welcome))]
        self._welcome[where, who] = None
        return account

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(seconds)  # type: ignore[misc]  # of a test, or asyncio's

    def close(self) -> None:
        """No more."""
        self._hashing.shutdown(wait=False, cancel_futures=True)


def network(client: str) -> bytes:
    """Whose failures count together."""
    return policy.network(ipaddress.ip_address(client.partition("%")[0]))
