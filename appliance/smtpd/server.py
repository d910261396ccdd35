"""What the sessions of one process share: the settings in force, the limits, the queue, the clock."""

import asyncio
import math
from collections import Counter

from appliance.errors import Temporary
from appliance.in_force import InForce
from appliance.intake import Intake
from appliance.smtpd.arrival import Door
from appliance.smtpd.connection import Connection
from appliance.smtpd.session import Session
from appliance.smtpd.settings import Settings
from appliance.state import State

TICK = 1.0  # seconds between two looks at the clock; the precision of every timeout here
CROWDED = 300.0  # seconds for silent clients while few sessions are left; RFC 5321 section 4.5.3.2.7 asks for that
STOP = 5.0  # seconds that sessions with a message in hand have at an orderly stop


class Server:
    """The sessions of this process and what they need.

    Raises OSError, LookupError, ValueError if the active generation can't be used.
    """

    def __init__(self, state: State, intake: Intake, hello: bytes) -> None:
        self.loop = asyncio.get_running_loop()
        self.door = Door(state, intake, hello)
        self.sessions: set[Connection] = set()
        self.stopping = False
        self.patience = math.inf  # seconds, at most, for a client that brings nothing
        self.configuration = InForce(state, Settings)
        self._per_client: Counter[bytes] = Counter()

    def session(self) -> Session:
        """For the event loop: the protocol of a new connection."""
        return Session(self)

    def admit(self, session: Connection, address: str) -> Settings:
        """Count a new session; the settings it has until its end. Raises Temporary with a 421."""
        settings = self.configuration.current()
        if settings is None:
            raise Temporary(421, "4.3.0", "configuration problem, try again later", self.configuration.trouble)
        if self.stopping:
            raise Temporary(421, "4.3.2", "shutting down, try again later")
        network = settings.client(address).network
        # the limit is the host's: each of its processes has a share
        if settings.max_sessions and len(self.sessions) >= -(-settings.max_sessions // settings.processes):
            raise Temporary(421, "4.7.0", "too many sessions, try again later", "maxsessions")
        if settings.max_sessions_per_client and self._per_client[network] >= settings.max_sessions_per_client:
            raise Temporary(421, "4.7.0", "too many sessions from your address", "maxsessionsperclient")
        self.sessions.add(session)
        self._per_client[network] += 1
        return settings

    def leave(self, session: Connection, network: bytes) -> None:
        """A session that was admitted has ended."""
        self.sessions.discard(session)
        self._per_client[network] -= 1
        if not self._per_client[network]:
            del self._per_client[network]

    async def watch(self) -> None:
        """Until the listeners in force are no longer ours: timeouts, and the way to the queue kept open."""
        listen = self.configuration.settings.listen
        while True:
            await asyncio.sleep(TICK)
            self._look_at_the_clock()
            self.door.shared.connect()
            settings = self.configuration.current()
            if settings is not None and settings.listen != listen:
                return

    def _look_at_the_clock(self) -> None:
        now = self.loop.time()
        settings = self.configuration.settings
        crowded = settings.max_sessions and len(self.sessions) * settings.processes > settings.max_sessions * 3 // 4
        self.patience = CROWDED if crowded else math.inf
        for session in list(self.sessions):
            session.look_at_the_clock(now)

    async def stop(self) -> None:
        """Tell idle clients to go, let the others finish the message they are sending, within STOP."""
        self.stopping = True
        for session in list(self.sessions):
            session.stop()
        deadline = self.loop.time() + STOP
        while self.sessions and self.loop.time() < deadline:
            await asyncio.sleep(0.05)
            self._look_at_the_clock()
        for session in list(self.sessions):
            session.abort("shutting down")
