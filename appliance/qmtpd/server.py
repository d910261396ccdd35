"""What the sessions of QMTP and QMQP share: the settings in force, the limits, the way to the queue."""

import asyncio
import traceback
from collections import Counter

from appliance import log
from appliance.in_force import InForce
from appliance.qmtpd.handover import Door
from appliance.qmtpd.package import Client
from appliance.qmtpd.session import Session
from appliance.qmtpd.settings import Settings
from appliance.state import State

STOP = 5.0  # seconds that a package in hand has at an orderly stop
WITHIN = 3600.0  # seconds for a whole connection, as in qmail


class Server:
    """The sessions of this process. Raises OSError, LookupError, ValueError if the generation can't be used."""

    def __init__(self, state: State, door: Door) -> None:
        self._door = door
        self.configuration = InForce(state, Settings)
        self._sessions: dict[asyncio.Task[object], Session] = {}
        self._per_client: Counter[bytes] = Counter()

    async def qmtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For the event loop: a connection of QMTP."""
        await self._serve(b"QMTP", reader, writer)

    async def qmqp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For the event loop: a connection of QMQP."""
        await self._serve(b"QMQP", reader, writer)

    async def _serve(self, protocol: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, task = writer.get_extra_info("peername"), asyncio.current_task()
        assert task is not None
        client = self._client(protocol, peer[0]) if peer else None
        if client is None:  # neither protocol can say no before it has heard all: the client comes back
            writer.transport.abort()
            return
        address, network = client.address, client.settings.client(client.address).network
        session = self._sessions[task] = Session(client, reader, writer)
        self._per_client[network] += 1
        try:
            async with asyncio.timeout(WITHIN):
                await session.run()
        except (TimeoutError, asyncio.CancelledError):
            log.session_ended(address, "it took too long, or we are stopping")
        except Exception:  # noqa: BLE001  # a bug ends one session, and is told
            log.trouble(f"qmtpd: a session with {address} ended by an error nobody foresaw", traceback.format_exc())
        finally:
            del self._sessions[task]
            self._per_client[network] -= 1
            if not self._per_client[network]:
                del self._per_client[network]
            writer.close()

    def _client(self, protocol: bytes, address: str) -> Client | None:
        """What a new client may, or None, and the log says why."""
        settings = self.configuration.current()
        if settings is None:
            return None
        known = settings.client(address)
        why = ""
        if protocol == b"QMQP" and not settings.may_qmqp(address):
            why = "QMQP is for hosts in listen.qmqp.allow"
        elif settings.max_sessions and len(self._sessions) >= settings.max_sessions:
            why = "too many sessions"
        elif settings.max_sessions_per_client and self._per_client[known.network] >= settings.max_sessions_per_client:
            why = "too many sessions from this address"
        if why:
            log.refused(known.address, b"", None, None, "connection closed", why)
            return None
        return Client(self._door, settings, known.address, protocol, known.may_relay)

    async def stop(self) -> None:
        """End what waits for a package; those that have begun one may finish it within STOP."""
        deadline = asyncio.get_running_loop().time() + STOP
        while self._sessions:
            late = asyncio.get_running_loop().time() > deadline
            for task, session in self._sessions.items():
                if late or not session.busy:
                    task.cancel()
            await asyncio.wait(self._sessions, timeout=0.05)
