"""One client's connection: bytes in, replies out, a message at a time to the queue.

All commands of one read are carried out and answered in one write, the content is read in
pieces, and nothing needs a task, except a large message.
"""

import asyncio
import ipaddress
import time
import traceback
from typing import TYPE_CHECKING

from appliance import intake, log
from appliance.errors import MailError, Temporary, internal
from appliance.message import received
from appliance.smtpd.arrival import Arrival, Outcome
from appliance.smtpd.connection import Connection
from appliance.smtpd.data import Reader
from appliance.smtpd.verbs import perform

if TYPE_CHECKING:
    from appliance.smtpd.server import Server

LINE = 4096  # bytes of a command line; RFC 5321 section 4.5.3.1.4 asks for 512 and more by extensions
TOO_MUCH = 16 * 1024 * 1024  # bytes without a line end
REPLIES = 200  # in one write; then it is seen whether the client reads them

_LINE_TOO_LONG = b"500 5.5.2 line too long\r\n"
_BARE_LF = b"500 5.5.2 a command line ends in CRLF\r\n"


class Session(Connection):
    """The protocol of one connection.

    Its words are the transaction's: helo, sender (None before MAIL), recipients.
    """

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self.helo = b""
        self.protocol = b"SMTP"
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []
        self._buffer = b""
        self._skipped = 0  # bytes of an overlong line
        self._stalled = False  # the client does not read its replies
        self._ended_by_client = False

    # -- what asyncio calls --------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        # a command that is not whole is no progress: a byte now and then does not keep a session
        if not (self._buffer or self._skipped) or self._arrival is not None or b"\n" in data:
            self._heard = self.server.loop.time()
        if self._buffer:
            data = self._buffer + data
        if self._waiting or self._stalled:
            self._buffer = data
            self._hold()
        else:
            self._work(data, [])

    def eof_received(self) -> bool:
        self._ended_by_client = True
        return self._waiting or self._stalled  # then what it asked can still be answered

    def pause_writing(self) -> None:
        self._stalled = True
        self._hold()

    def resume_writing(self) -> None:
        self._stalled = False
        if not self._waiting and not self._leaving:
            self._go_on([])

    # -- commands ---------------------------------------------------------------------------

    def _work(self, data: bytes, replies: list[bytes]) -> None:
        """Carry out what is complete in `data`, answer in one write after `replies`."""
        self._buffer = b""
        try:
            self._buffer = self._carry_out(data, replies)
        except Exception as error:  # noqa: BLE001  # a bug or a damaged file: temporary for the peer, in full for the log
            log.trouble(f"session of {self._address} ended by", _where(error))
            self._say_goodbye(internal(error), "internal error", replies)
            return
        if self.transport is None or self._leaving:
            return
        if replies:
            self.transport.write(b"".join(replies))
        if self.quitting or (self._ended_by_client and not (self._waiting or self._stalled)):
            self.transport.close()
        elif self.server.stopping:
            self.stop()

    def _carry_out(self, data: bytes, replies: list[bytes]) -> bytes:
        position = 0
        while not (self._waiting or self.quitting):
            if self._arrival is not None:
                rest = self._content(self._arrival, data[position:] if position else data, replies)
                if rest is None:
                    return b""
                data, position = rest, 0
                continue
            end = data.find(b"\n", position)
            if end < 0:
                return self._unfinished(data[position:], replies)
            if self._skipped:
                self._skipped = 0  # the end of a line that was too long, and was answered
            elif end - position > LINE:
                replies.append(_LINE_TOO_LONG)
                self.conduct.error()
            elif end == position or data[end - 1] != 0x0D:
                # RFC 5321 section 2.3.8: only CRLF ends a line; who treats LF as an end may be smuggling
                replies.append(_BARE_LF)
                self.conduct.error()
            else:
                replies.append(perform(self, data[position : end - 1]))
            position = end + 1
            if len(replies) >= REPLIES and self.transport is not None:
                self.transport.write(b"".join(replies))
                replies.clear()
                if self._stalled:
                    break
            if self.conduct.enough:
                self._had_enough(self.conduct.enough, replies)
                return b""
        return data[position:]

    def _unfinished(self, line: bytes, replies: list[bytes]) -> bytes:
        """A line without its end: wait for more, unless it is too long already."""
        if not self._skipped and len(line) <= LINE:
            return line
        if not self._skipped:
            replies.append(_LINE_TOO_LONG)
            self.conduct.error()
        self._skipped += len(line)
        if self._skipped > TOO_MUCH:
            self._had_enough("a line without end", replies)
        return b""

    def _had_enough(self, reason: str, replies: list[bytes]) -> None:
        self._say_goodbye(Temporary(421, "4.7.0", f"{reason}, goodbye"), reason, replies)

    def refuse(self, error: MailError, *, sender: bytes | None = None, recipient: bytes | None = None) -> MailError:
        """Log a refusal that is more than a syntax error; the same error."""
        if error.code >= 500:
            self.conduct.refusal()
        sender = self.sender if sender is None else sender
        log.refused(
            self.client.address,
            self.helo,
            sender,
            recipient,
            f"{error.code} {error.enhanced} {error.text}",
            error.cause,
        )
        return error

    def our_literal(self, recipient: bytes) -> bytes:
        """postmaster@[192.0.2.1] as postmaster@localiphost if that is an address of ours (RFC 5321 section 4.1.3)."""
        if recipient[-1:] != b"]" or self.transport is None:
            return recipient
        local, _, literal = recipient.rpartition(b"@")
        text = literal[1:-1].decode("ascii", "replace")
        try:
            ip = str(ipaddress.ip_address(text[5:] if text[:5].lower() == "ipv6:" else text))
        except ValueError:
            return recipient
        ours = ip in self.settings.own_addresses or ip == self.transport.get_extra_info("sockname")[0]
        return local + b"@" + self.settings.localiphost if ours else recipient

    # -- the message --------------------------------------------------------------------------

    def forget(self) -> None:
        """No transaction (RFC 5321 section 4.1.1.5)."""
        self.sender = None
        self.recipients = []

    def begin_content(self, sender: bytes) -> None:
        """DATA was given: what comes now is content."""
        settings, client = self.settings, self.client
        trace = received.header(self.helo, client.address.encode(), settings.me, self.protocol, int(time.time()))
        reader = Reader(settings.size_limit, settings.max_hops, normalise=client.normalise)
        self._arrival = Arrival(self.server.door, sender, self.recipients, trace, reader, self._read_on)
        self.conduct.began = self._heard

    def _content(self, arrival: Arrival, data: bytes, replies: list[bytes]) -> bytes | None:
        """Read content; what follows its end, None if it goes on."""
        rest = arrival.feed(data)
        if rest is None:
            if arrival.crowded:
                self._hold()
            return None
        problem = arrival.finish(self._answered)
        if problem is None:
            self._waiting = True
        else:
            replies.append(self.refuse(problem).reply)
            self._arrival = None
            self.forget()
        return rest

    def _answered(self, outcome: Outcome) -> None:
        """The queue has the message, or says why not; the client may be gone by now."""
        arrival, self._arrival, self._waiting = self._arrival, None, False
        assert arrival is not None
        if isinstance(outcome, asyncio.CancelledError):  # the program ends
            return
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            message = intake.accepted(outcome) if isinstance(outcome, bytes) else outcome
        except MailError as error:
            reply = self.refuse(error).reply
        except Exception as error:  # noqa: BLE001  # a bug is temporary for the peer, in full in the log
            log.trouble(f"message of {self._address} not queued", _where(error))
            self._say_goodbye(internal(error), "internal error")
            return
        else:
            log.received(message, self.client.address, self.helo, arrival.sender, len(arrival.recipients), arrival.size)
            reply = b"250 2.0.0 accepted %b\r\n" % message.encode()
            self.conduct.brought_mail(self._heard)
        self.forget()
        if self.transport is not None and not self._leaving:
            self._go_on([reply])

    def _go_on(self, replies: list[bytes]) -> None:
        """Carry out what came meanwhile, and read on."""
        self._work(self._buffer, replies)
        if not self._waiting and not self._stalled:
            self._read_on()


def _where(error: Exception) -> str:
    """An exception and the line it comes from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
