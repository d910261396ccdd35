"""A client's connection: its beginning and its end, the clock, and when to read.

What is said on it is in session.py.
"""

import asyncio
from typing import TYPE_CHECKING, cast

from aiosmtpd.smtp import SMTP

from appliance import intake, log
from appliance.errors import MailError, Temporary
from appliance.smtpd.arrival import Arrival
from appliance.smtpd.conduct import Conduct

if TYPE_CHECKING:
    from appliance.policy import Client
    from appliance.smtpd.server import Server
    from appliance.smtpd.settings import Settings

LINGER = 2.0  # seconds for the client to read the last reply, or a reset could overtake it

_TIMEOUT = Temporary(421, "4.4.2", "timeout, goodbye")
_SHUTDOWN = Temporary(421, "4.3.2", "shutting down, try again later")


class Connection(SMTP):
    """One connection.

    It is aiosmtpd's SMTP, so that its STARTTLS and AUTH can be used when they are served.
    """

    transport: asyncio.Transport | None = None

    def __init__(self, server: "Server") -> None:  # not the base's: it introspects its methods each time, 0.2 ms
        self.server = server
        self.settings: Settings = server.configuration.settings
        self.client: Client
        self.conduct: Conduct
        self.quitting = False
        self._address = ""
        self._admitted = False
        self._heard = 0.0
        self._leaving = 0.0  # when to close at last; nothing is read any more
        self._arrival: Arrival | None = None  # the message after DATA, until its answer
        self._waiting = False  # for the queue's answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are that without saying so
        self.transport = transport
        peer = transport.get_extra_info("peername")
        if not peer:  # it is gone already
            transport.abort()
            return
        self._address = peer[0]
        self._heard = self.server.loop.time()
        try:
            self.settings = self.server.admit(self, self._address)
        except Temporary as error:
            log.session_ended(self._address, error.text)
            transport.write(error.reply)
            transport.close()
            self._leaving = self._heard
            return
        self._admitted = True
        self.client = self.settings.client(self._address)
        self.conduct = Conduct(self.settings, self._heard)
        transport.write(self.settings.greeting)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # whatever it was, it is over
        self.transport = None
        if self._admitted:
            self._admitted = False
            self.server.leave(self, self.client.network)
        arrival = self._arrival
        if arrival is not None:
            arrival.cancel()
            if not self._waiting:
                self._arrival = None  # it refers back to us: let go of its content now
        if self._leaving or self.quitting:
            return
        if self._waiting:
            log.session_ended(self._address, "disconnected before the answer to its message")
        elif arrival is not None:
            log.session_ended(self._address, "disconnected in DATA, nothing was queued")

    def look_at_the_clock(self, now: float) -> None:
        """Called every second or so."""
        if self._leaving:
            if now > self._leaving and self.transport is not None:
                self.transport.abort()
        elif self._waiting:
            if now - self._heard > intake.TIMEOUT:
                self._say_goodbye(intake.accepted_later("no answer"), "the queue does not answer")
        elif now - self._heard > min(self.settings.timeout, self.server.patience):
            if self.transport is None or self.transport.is_closing():  # it does not even read our goodbye
                self.abort("timeout")
                return
            self._say_goodbye(_TIMEOUT, "timeout in DATA" if self._arrival else "timeout")
        elif self._arrival is not None:
            if self.conduct.too_slow(now, self._arrival.size):
                self._say_goodbye(_TIMEOUT, "too slow in DATA")
        elif self.conduct.too_long(now, self.server.patience):
            self._say_goodbye(_TIMEOUT, "too long without mail")

    def stop(self) -> None:
        """The program stops: leave now, or when the message in hand is done."""
        if self.transport is not None and self._arrival is None and not self._leaving:
            self._leaving = self._heard
            self.transport.write(_SHUTDOWN.reply)
            self.transport.close()

    def abort(self, reason: str) -> None:
        """End the connection without another word."""
        if self.transport is not None:
            log.session_ended(self._address, reason)
            self._leaving = self._heard
            self.transport.abort()

    def _hold(self) -> None:
        if self.transport is not None and self.transport.is_reading():
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if self.transport is not None and not self.transport.is_closing() and not self.transport.is_reading():
            self.transport.resume_reading()

    def _say_goodbye(self, error: MailError, reason: str, replies: list[bytes] | None = None) -> None:
        """The last reply; the connection stays a moment, for a reset would destroy what is unread."""
        log.session_ended(self._address, reason)
        self._leaving = self.server.loop.time() + LINGER
        if self._arrival is not None:
            self._arrival.cancel()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"".join([*(replies or ()), error.reply]))
            self.transport.write_eof()
            self._read_on()
