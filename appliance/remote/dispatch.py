"""Which delivery goes by which connection: a backlog for each next hop, connections shared out fairly.

At most concurrencyremote connections are at work.  A hop that hangs keeps its own mail waiting and
nobody else's: connections go round among the hops that want one, a connection on which the peer is
quiet does not count for other hops, and mail parked at a hop that does not move does not count
as in hand (`parked`).
"""

import asyncio
from collections.abc import Callable

from appliance import log
from appliance.dns import Resolver
from appliance.errors import MailError, Result, Temporary, internal
from appliance.lease import Delivery, Report
from appliance.remote import mx, reports
from appliance.remote.backlog import Backlog
from appliance.remote.content import Content
from appliance.remote.hops import Hop, SecureRoute
from appliance.remote.own import Own
from appliance.remote.qmtp import connection
from appliance.remote.session import Session
from appliance.remote.settings import Settings
from appliance.remote.silent import Silent

TURN = 10  # messages of a hop's only connection before it lets another hop have it
QUIET = 0.1  # seconds without a word of the peer after which a connection does not count for other hops
MOST = 10  # times concurrencyremote: all connections, the quiet ones too

Finish = Callable[[Delivery, list[Report], str], None]
Fetch = Callable[[Delivery], "asyncio.Future[Content]"]


class Dispatch:
    """All deliveries in hand.

    finish  told the results of a delivery, and the peer they come from
    fetch   gets a large content
    """

    def __init__(self, settings: Settings, resolver: Resolver, finish: Finish, fetch: Fetch) -> None:
        self.fetch = fetch
        self.stopping = False
        self._finish = finish
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._backlogs: dict[tuple[str, Hop], Backlog] = {}
        self._of: dict[Session, Backlog] = {}
        self._starving: dict[Backlog, None] = {}  # hops without a connection while all are in use, in turn
        self._leaving: set[Session] = set()  # that make room for them
        self._connections = 0  # open or on their way
        self.silent = Silent()
        self._tasks: dict[asyncio.Task[None], tuple[Backlog, float]] = {}  # that connect, and since when
        self._looking = False  # a timer runs that looks for connections that have become quiet
        self._warned = False  # of a route that is not served, once for each generation
        self.follow(settings, resolver)

    def follow(self, settings: Settings, resolver: Resolver) -> None:
        """A new generation is in force: it decides from the next attempt on."""
        self.settings = settings
        self._resolver = resolver
        self._own = Own(frozenset({settings.me, settings.helo.lower()}), settings.own)
        self._warned = False
        self._share_out()

    @property
    def busy(self) -> bool:
        """Whether a transaction is in hand."""
        return any(session.busy for session in self._of)

    def parked(self, now: float) -> int:
        """Deliveries that wait for hops that do not move."""
        return sum(backlog.parked(now) for backlog in self._backlogs.values())

    def take(self, delivery: Delivery) -> None:
        """A delivery from the queue."""
        try:
            hop = self.settings.routes.next_hop(delivery.destination)
        except SecureRoute as error:
            if not self._warned:
                self._warned = True
                log.warning(f"mail for {delivery.destination.decode('ascii', 'replace')} waits: {error.text}")
            self._answer(delivery, reports.failure(error))
            return
        key = (self.settings.name, hop)
        backlog = self._backlogs.get(key)
        if backlog is None:
            backlog = self._backlogs[key] = Backlog(hop, self.settings)
        now = self._loop.time()
        failure = backlog.resting(now)
        if failure is not None:
            self._answer(delivery, failure)
            return
        backlog.add(delivery, now)
        if backlog.idle:
            next(iter(backlog.idle)).advance()
        else:
            self._want(backlog)

    def check(self, now: float) -> None:
        """Called a few times a second: end what takes too long."""
        for session in list(self._of):
            session.check(now)
        for backlog in list(self._backlogs.values()):
            for delivery in backlog.surplus(now):
                host = backlog.hop.host.decode("ascii", "replace")
                error = Temporary(451, "4.4.5", f"Much mail waits for {host}, and none of it moves")
                self._answer(delivery, reports.failure(error))
            self._want(backlog)

    def forget(self) -> None:
        """The queue took its leases back."""
        for backlog in self._backlogs.values():
            backlog.waiting.clear()
        self._starving.clear()
        for session in list(self._of):
            session.abandon()

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopping = True
        for task in self._tasks:
            task.cancel()
        for session in list(self._of):
            if not session.busy:
                session.quit()

    def close(self) -> None:
        """Drop what is still in hand."""
        for session in list(self._of):
            session.abort("stopping")

    # -- for sessions -------------------------------------------------------------------------

    def next(self, session: Session) -> Delivery | None:
        backlog = self._of[session]
        if not backlog.waiting or self.stopping or session.abandoned or self._should_yield(session, backlog):
            return None
        backlog.idle.pop(session, None)
        delivery = backlog.waiting.popleft()
        self._want(backlog)
        return delivery

    def finished(self, session: Session, delivery: Delivery, results: list[Report]) -> None:
        self._of[session].moved(self._loop.time(), accepted=results[0].result is Result.DONE)
        self._finish(delivery, results, session.name)

    def again(self, session: Session, delivery: Delivery) -> None:
        if not session.abandoned:
            self._of[session].waiting.appendleft(delivery)

    def elsewhere(self, session: Session) -> bool:
        return self._of[session].leave(session.address, self._loop.time())

    def moving(self, session: Session) -> None:
        self._of[session].progress = session.heard = self._loop.time()

    def idle(self, session: Session) -> None:
        backlog = self._of[session]
        if self._starving and not self.stopping:
            self._leaving.add(session)
        if self._starving or self.stopping or session.abandoned:
            session.quit()
        else:
            backlog.idle[session] = None

    def closed(self, session: Session) -> None:
        backlog = self._of.pop(session)
        if session in backlog.sessions:
            backlog.sessions.remove(session)
            backlog.idle.pop(session, None)
            self._leaving.discard(session)
            self._connections -= 1
            self._share_out()
            self._want(backlog)

    def _should_yield(self, session: Session, backlog: Backlog) -> bool:
        """Whether a hop without any connection needs this one more."""
        if len(self._starving) <= len(self._leaving):
            return False
        return len(backlog.sessions) > 1 or session.count >= TURN

    # -- connections -------------------------------------------------------------------------

    def _want(self, backlog: Backlog) -> None:
        """See to it that a backlog has the connections it needs, or is forgotten when it is empty."""
        if self.stopping:
            return
        if backlog.wants_connection and self._room(backlog):
            self._open(backlog)
        elif backlog.starving and backlog not in self._starving:
            self._starving[backlog] = None
            self._look_again()
            idle = next((session for other in self._backlogs.values() for session in other.idle), None)
            if idle is not None:
                self._leaving.add(idle)
                idle.quit()
        elif backlog.forgettable(self._loop.time()):
            self._backlogs.pop((backlog.settings.name, backlog.hop), None)

    def _share_out(self) -> None:
        """Give free connections to those who have none, the longest waiting first."""
        while self._starving and not self.stopping:
            backlog = next(iter(self._starving))
            if not self._room(backlog):
                self._look_again()
                return
            del self._starving[backlog]
            if backlog.starving:
                self._open(backlog)

    def _room(self, backlog: Backlog) -> bool:
        """Whether a backlog may have another connection: its own count, and those of others that are at work."""
        most = self.settings.concurrency
        if self._connections < most or self._connections >= most * MOST:
            return self._connections < most
        since = self._loop.time() - QUIET
        working = sum(own is backlog or began > since for own, began in self._tasks.values())
        working += sum(
            session.opened.done() and (own is backlog or session.heard > since) for session, own in self._of.items()
        )
        return working < most

    def _look_again(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_later(QUIET, self._look)

    def _look(self) -> None:
        self._looking = False
        self._share_out()

    def _open(self, backlog: Backlog) -> None:
        backlog.opening += 1
        self._connections += 1
        task = self._loop.create_task(self._connect(backlog))
        self._tasks[task] = (backlog, self._loop.time())
        task.add_done_callback(self._tasks.pop)

    async def _connect(self, backlog: Backlog) -> None:
        session, failure = None, None
        try:
            addresses = await mx.addresses(backlog.hop, self._resolver, self._own.mine)
            for address in backlog.choose(addresses, self._loop.time()):
                session, failure = await self._try(backlog, address)
                if session is not None:
                    break
        except MailError as error:
            failure = reports.failure(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the mail must get an answer
            log.trouble("an internal error while connecting, the mail is deferred", repr(error))
            failure = reports.failure(internal(error))
        finally:
            backlog.opening -= 1
            if session is None:
                self._connections -= 1
        if session is not None:
            backlog.opened(session, self._loop.time())
            session.advance()
        elif failure is not None:
            self._failed(backlog, failure)
        self._share_out()

    async def _try(self, backlog: Backlog, address: mx.Address) -> tuple[Session | None, Report | None]:
        """Connect to one address: a session that is ready, or why not."""
        settings, key = backlog.settings, (address.ip, address.port)
        if self.silent.skip(key, self._loop.time()):
            return None, reports.unreachable(address.name, "it did not answer lately")
        session = connection(self, backlog.hop, address, settings)
        self._of[session] = backlog
        try:
            async with asyncio.timeout(settings.connect):
                await self._loop.create_connection(lambda: session, address.ip, address.port)
        except TimeoutError:
            del self._of[session]
            self.silent.timed_out(key, self._loop.time())
            return None, reports.unreachable(address.name, "no answer in time")
        except BaseException as error:
            self._of.pop(session, None)
            if not isinstance(error, OSError):
                raise
            self.silent.answered(key)
            return None, reports.unreachable(address.name, error)
        self.silent.answered(key)
        failure = await session.opened
        if failure is None and session not in self._of:
            failure = reports.failure(Temporary(451, "4.4.2", f"{address.name} closed the connection at once"))
        return (session, None) if failure is None else (None, failure)

    def _failed(self, backlog: Backlog, failure: Report) -> None:
        backlog.full(self._loop.time())
        if backlog.sessions or backlog.opening:
            return  # those that are open serve what waits
        backlog.fail(failure, self._loop.time())
        for _ in range(len(backlog.waiting)):
            self._answer(backlog.waiting.popleft(), failure)
        self._want(backlog)

    def _answer(self, delivery: Delivery, report: Report) -> None:
        self._finish(delivery, [report] * len(delivery.recipients), "")
