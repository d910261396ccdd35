"""One client's connection: bytes in, replies out, a message at a time to the queue.

It is aiosmtpd's SMTP, so that its STARTTLS and AUTH can be used, with a receive path of its
own: all commands of one read are carried out and answered in one write, the content is
read in pieces, and nothing in it needs a task, except a large message.
"""

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, cast

from aiosmtpd.smtp import SMTP

from appliance import intake, log
from appliance.errors import MailError, Temporary, internal
from appliance.smtpd import received
from appliance.smtpd.data import Reader
from appliance.smtpd.stream import Stream
from appliance.smtpd.verbs import perform

if TYPE_CHECKING:
    from appliance.smtpd.policy import Client
    from appliance.smtpd.server import Server
    from appliance.smtpd.settings import Settings

LINE = 4096  # bytes of a command line; RFC 5321 section 4.5.3.1.4 asks for 512 and more by extensions
TOO_MUCH = 16 * 1024 * 1024  # bytes without a line end
BAD_COMMANDS = 20
LINGER = 2.0  # seconds for the client to read the last reply, or a reset could overtake it

_LINE_TOO_LONG = b"500 5.5.2 line too long\r\n"
_BARE_LF = b"500 5.5.2 a command line ends in CRLF\r\n"
_TOO_MANY_ERRORS = Temporary(421, "4.7.0", "too many errors, goodbye")
_TIMEOUT = Temporary(421, "4.4.2", "timeout, goodbye")
_SHUTDOWN = Temporary(421, "4.3.2", "shutting down, try again later")


class Session(SMTP):
    """The protocol of one connection.

    Its words are the transaction's: helo, sender (None before MAIL), recipients.
    """

    transport: asyncio.Transport | None = None

    def __init__(self, server: "Server") -> None:  # pylint: disable=super-init-not-called
        # the base's constructor introspects its methods and makes a stream for every connection: 0.2 ms
        self.server = server
        self.settings: Settings = server.settings
        self.client: Client
        self.helo = b""
        self.protocol = b"SMTP"
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []
        self.bad_commands = 0
        self.quitting = False
        self._address = ""
        self._admitted = False
        self._heard = 0.0
        self._leaving = 0.0  # when to close at last; nothing is read any more
        self._buffer = b""
        self._skipped = 0  # bytes of an overlong line
        self._content_reader: Reader | None = None
        self._stream: Stream | None = None
        self._task: asyncio.Task[str] | None = None
        self._trace = b""
        self._waiting = False  # for the queue's answer
        self._stalled = False  # the client does not read its replies
        self._ended_by_client = False

    # -- the connection ---------------------------------------------------------------------

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
        transport.write(self.settings.greeting)

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
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
        return self._waiting  # then the answer can still be given

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # whatever it was, it is over
        self.transport = None
        if self._admitted:
            self._admitted = False
            self.server.leave(self, self._address)
        if self._task is not None:
            self._task.cancel()
        if self._leaving or self.quitting:
            return
        if self._waiting:
            log.session_ended(self._address, "disconnected before the answer to its message")
        elif self._content_reader is not None:
            log.session_ended(self._address, "disconnected in DATA, nothing was queued")
        elif self.sender is not None:
            log.session_ended(self._address, "disconnected before DATA")
        self._content_reader = None

    def pause_writing(self) -> None:
        self._stalled = True
        self._hold()

    def resume_writing(self) -> None:
        self._stalled = False
        if not self._waiting and not self._leaving:
            self._go_on([])

    def look_at_the_clock(self, now: float) -> None:
        """Called every second or so."""
        if self._leaving:
            if now > self._leaving and self.transport is not None:
                self.transport.abort()
        elif self._waiting:
            if now - self._heard > intake.TIMEOUT:
                self._say_goodbye(intake.accepted_later("no answer"), "the queue does not answer")
        elif now - self._heard > self.settings.timeout:
            self._say_goodbye(_TIMEOUT, "timeout in DATA" if self._content_reader else "timeout")

    def stop(self) -> None:
        """The program stops: leave now, or when the message in hand is done."""
        if self.transport is not None and self._content_reader is None and not self._waiting and not self._leaving:
            self._leaving = self._heard
            self.transport.write(_SHUTDOWN.reply)
            self.transport.close()

    def abort(self, reason: str) -> None:
        """End the connection without another word."""
        if self.transport is not None:
            log.session_ended(self._address, reason)
            self._leaving = self._heard
            self.transport.abort()

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
        if self.quitting or (self._ended_by_client and not self._waiting):
            self.transport.close()
        elif self.server.stopping:
            self.stop()

    def _carry_out(self, data: bytes, replies: list[bytes]) -> bytes:
        position = 0
        while not (self._waiting or self.quitting):
            if self._content_reader is not None:
                rest = self._content(self._content_reader, data[position:], replies)
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
                self.bad_commands += 1
            elif end == position or data[end - 1] != 0x0D:
                # RFC 5321 section 2.3.8: only CRLF ends a line; who treats LF as an end may be smuggling
                replies.append(_BARE_LF)
                self.bad_commands += 1
            else:
                replies.append(perform(self, data[position : end - 1]))
            position = end + 1
            if self.bad_commands >= BAD_COMMANDS:
                self._say_goodbye(_TOO_MANY_ERRORS, "too many errors", replies)
                return b""
        return data[position:]

    def _unfinished(self, line: bytes, replies: list[bytes]) -> bytes:
        """A line without its end: wait for more, unless it is too long already."""
        if not self._skipped and len(line) <= LINE:
            return line
        if not self._skipped:
            replies.append(_LINE_TOO_LONG)
            self.bad_commands += 1
        self._skipped += len(line)
        if self._skipped > TOO_MUCH:
            self._say_goodbye(_TOO_MANY_ERRORS, "a line without end", replies)
        return b""

    def refuse(self, error: MailError, *, sender: bytes | None = None, recipient: bytes | None = None) -> MailError:
        """Log a refusal that is more than a syntax error; the same error."""
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
        """postmaster@[192.0.2.1] as postmaster@localiphost if that is the address the client came to."""
        if recipient[-1:] != b"]" or self.transport is None:
            return recipient
        local, _, literal = recipient.rpartition(b"@")
        ours = self.transport.get_extra_info("sockname")[0]
        return local + b"@" + self.settings.localiphost if literal == b"[%b]" % ours.encode() else recipient

    # -- the message --------------------------------------------------------------------------

    def forget(self) -> None:
        """No transaction (RFC 5321 section 4.1.1.5)."""
        self.sender = None
        self.recipients = []
        self._stream = None
        self._task = None

    def begin_content(self) -> None:
        """DATA was given: what comes now is content."""
        settings = self.settings
        self._trace = received.header(
            self.helo, self.client.address.encode(), settings.me, self.protocol, int(time.time())
        )
        self._content_reader = Reader(settings.size_limit, settings.max_hops, normalise=self.client.normalise)

    def _content(self, reader: Reader, data: bytes, replies: list[bytes]) -> bytes | None:
        """Read content; what follows its end, None if it goes on."""
        rest = reader.feed(data)
        if self._stream is None and reader.size > intake.INLINE - len(self._trace) and reader.problem() is None:
            self._open_stream()
        if self._stream is not None and self._task is not None:
            piece = reader.take()
            if not self._task.done() and self._stream.put(piece):
                self._hold()
        if rest is None:
            return None
        self._end_of_content(reader, replies)
        return rest

    def _end_of_content(self, reader: Reader, replies: list[bytes]) -> None:
        self._content_reader = None
        self._size = reader.size
        problem = reader.problem()
        if self._stream is not None and self._task is not None:
            self._stream.end(problem)
            self._waiting = True
            self._task.add_done_callback(self._answered)
        elif problem is not None:
            replies.append(self.refuse(problem).reply)
            self.forget()
        else:
            frame = intake.request(self.sender or b"", self.recipients, self._trace + reader.take())
            self._waiting = True
            self.server.intake.submit(frame).add_done_callback(self._answered)

    def _open_stream(self) -> None:
        server = self.server
        self._stream = Stream(self._room)
        self._stream.put(self._trace)
        recipients = tuple(self.recipients)
        self._task = server.loop.create_task(
            intake.submit_large(server.state, server.hello, self.sender or b"", recipients, self._stream)
        )
        self._task.add_done_callback(self._stream_over)

    def _room(self) -> None:
        """The queue has taken all that was waiting."""
        if self._content_reader is not None and not self._stalled:
            self._read_on()

    def _stream_over(self, task: "asyncio.Task[str]") -> None:
        if not task.cancelled():
            task.exception()  # it is told to the client at the end of its content, if there is one
        self._room()

    def _answered(self, future: "asyncio.Future[bytes] | asyncio.Task[str]") -> None:
        """The queue has the message, or says why not."""
        self._waiting = False
        try:
            result = future.result()
            message = intake.accepted(result) if isinstance(result, bytes) else result
        except asyncio.CancelledError:
            return  # the client is gone
        except MailError as error:
            reply = self.refuse(error).reply
        except Exception as error:  # noqa: BLE001  # as in _work
            log.trouble(f"message of {self._address} not queued", _where(error))
            self._say_goodbye(internal(error), "internal error")
            return
        else:
            log.received(message, self.client.address, self.helo, self.sender or b"", len(self.recipients), self._size)
            reply = b"250 2.0.0 accepted %b\r\n" % message.encode()
        self.forget()
        if self.transport is not None and not self._leaving:
            self._go_on([reply])

    # -- reading and leaving --------------------------------------------------------------------

    def _go_on(self, replies: list[bytes]) -> None:
        """Carry out what came meanwhile, and read on."""
        self._work(self._buffer, replies)
        if not self._waiting and not self._stalled:
            self._read_on()

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
        self._content_reader = None
        if self._task is not None:
            self._task.cancel()
        if self.transport is not None:
            self.transport.write(b"".join([*(replies or ()), error.reply]))
            self.transport.write_eof()
            self._read_on()


def _where(error: Exception) -> str:
    """An exception and the line it comes from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
