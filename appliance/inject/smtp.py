"""`sendmail -bs`: SMTP on stdin and stdout, for a mail program on this machine.

One session, one message at a time, its content streamed to the queue.  Whoever runs it may send to the world; run
by a network server (PROTO is set), it takes mail by smtpd's policy: for rcpthosts, and for mailboxes that exist,
unless RELAYCLIENT is set; badmailfrom and databytes count.  Framing is strict where it matters: a message with a
bare CR or LF is refused after its end, as smtpd does.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from appliance import command, injection
from appliance.control import Control, Generation
from appliance.errors import MailError, Permanent, Temporary
from appliance.inject.settings import Environment
from appliance.message import received
from appliance.message.address_list import AddressError, addresses, lex, parse
from appliance.message.date import mail_date
from appliance.message.hops import Hops
from appliance.policy import Policy
from appliance.rcpthosts import RcptHosts
from appliance.recipient import Recipients, Standing
from appliance.state import State

_LINE = 4096  # bytes of a command line
_SAFE = bytes(byte if 32 < byte < 127 and byte not in b"()<>\\" else 0x3F for byte in range(256))


class GoneError(EOFError):
    """The client is gone, perhaps in the middle of a message."""


def serve(environ: Environment) -> int:
    """One session; 0 after QUIT or the client's end, 111 without a configuration."""
    state = command.state()
    try:
        generation = Control(state).current()
        with open(0, "rb", closefd=False) as reader, open(1, "wb", closefd=False) as writer:
            Session(reader, writer, state, generation, environ).run()
    except (GoneError, BrokenPipeError):
        return 0
    except (OSError, LookupError, ValueError) as error:
        command.say("sendmail", f"-bs: {error}")
        return command.TEMPORARY
    return 0


def path(argument: bytes, keyword: bytes) -> bytes:
    """The address in `FROM:<address> parameters`, without its route. Raises AddressError."""
    word, colon, rest = argument.partition(b":")
    if not colon or word.strip().lower() != keyword:
        raise AddressError("no address")
    end = next((end for kind, _, _, end in lex(rest) if kind == ">"), None)
    found = addresses(parse(rest.split(b" ")[0] if end is None else rest[:end]))
    if len(found) != 1:
        raise AddressError("one address expected")
    plain = found[0].plain
    return plain.rpartition(b":")[2] if plain[:1] == b"@" else plain


def _limit(generation: Generation, environ: Environment) -> int:
    """Bytes of a message, 0 for any number: for the network only."""
    if b"PROTO" not in environ:
        return 0
    given = environ.get(b"DATABYTES", b"")
    return int(given) if given.isdigit() else generation.integer("databytes", 0)


def _policy(generation: Generation, environ: Environment) -> Policy | None:
    """What the network may send; None: this is no network. Raises OSError, ValueError."""
    if b"PROTO" not in environ:
        return None
    relay = b"RELAYCLIENT" in environ  # its value may lead elsewhere, so nobody knows who exists
    return Policy(
        (lambda _: Standing.ELSEWHERE) if relay else Recipients(generation).standing,
        RcptHosts.of(generation),
        generation.lines("badmailfrom") or (),
        generation.integer("maxrecipients", 1000),
    )


class Session:
    """A dialogue; `reader` and `writer` are its two ends."""

    def __init__(
        self, reader: BinaryIO, writer: BinaryIO, state: State, generation: Generation, environ: Environment
    ) -> None:
        self._reader, self._writer, self._state, self._environ = reader, writer, state, environ
        self._me = generation.me
        self._relay = environ.get(b"RELAYCLIENT")
        self._policy = _policy(generation, environ)
        self._limit = _limit(generation, environ)
        self._max_hops = generation.integer("maxhops", 100)
        self._helo = b"unknown"
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []
        self._verbs: dict[bytes, Callable[[bytes], None]] = {
            b"helo": self._hello,
            b"ehlo": self._extended_hello,
            b"mail": self._mail,
            b"rcpt": self._rcpt,
            b"data": self._data,
            b"rset": self._rset,
            b"noop": lambda _: self._say(b"250 2.0.0 ok"),
            b"vrfy": lambda _: self._say(b"252 2.5.2 send some mail, and see"),
            b"help": lambda _: self._say(b"214 2.0.0 RFC 5321"),
        }

    def run(self) -> None:
        """Greet, and answer until QUIT. Raises GoneError, OSError."""
        self._say(b"220 " + self._me + b" ESMTP")
        while True:
            verb, _, argument = self._line().partition(b" ")
            if verb.lower() == b"quit":
                self._say(b"221 2.0.0 " + self._me)
                return
            self._verbs.get(verb.lower(), self._unknown)(argument.strip())

    def _line(self) -> bytes:
        line = self._reader.readline(_LINE)
        if not line.endswith(b"\n"):
            if len(line) < _LINE:
                raise GoneError
            self._say(b"500 5.5.2 line too long")
            raise GoneError
        return line.rstrip(b"\r\n")

    def _say(self, line: bytes) -> None:
        self._writer.write(line + b"\r\n")
        self._writer.flush()

    def _unknown(self, _argument: bytes) -> None:
        self._say(b"502 5.5.1 unimplemented")

    def _hello(self, argument: bytes) -> None:
        self._helo = argument.translate(_SAFE) or b"unknown"
        self._reset()
        self._say(b"250 " + self._me)

    def _extended_hello(self, argument: bytes) -> None:
        self._helo = argument.translate(_SAFE) or b"unknown"
        self._reset()
        self._say(b"250-%b\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME" % self._me)

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []

    def _rset(self, _argument: bytes) -> None:
        self._reset()
        self._say(b"250 2.0.0 flushed")

    def _mail(self, argument: bytes) -> None:
        try:
            self._reset()
            self._sender = path(argument, b"from")
            self._say(b"250 2.1.0 ok")
        except AddressError as error:
            self._say(b"501 5.1.7 " + str(error).encode())

    def _rcpt(self, argument: bytes) -> None:
        if self._sender is None:
            self._say(b"503 5.5.1 MAIL first")
            return
        try:
            recipient = path(argument, b"to")
        except AddressError as error:
            self._say(b"501 5.1.3 " + str(error).encode())
            return
        refusal = self._refusal(self._sender, recipient)
        if refusal is not None:
            self._say(refusal.reply.rstrip())
            return
        self._recipients.append(recipient + (self._relay or b""))
        self._say(b"250 2.1.5 ok")

    def _refusal(self, sender: bytes, recipient: bytes) -> MailError | None:
        if self._policy is None:
            return None
        try:
            count, may_relay = len(self._recipients), self._relay is not None
            return self._policy.refusal(sender, recipient, count, may_relay=may_relay)
        except (OSError, ValueError) as error:
            return Temporary(451, "4.3.0", "cannot look that up now, try again later", error)

    def _data(self, _argument: bytes) -> None:
        if self._sender is None or not self._recipients:
            self._say(b"503 5.5.1 RCPT first")
            return
        self._say(b"354 go ahead")
        content = self._content()
        letter = injection.Letter(self._sender, tuple(self._recipients), content)
        try:
            name = injection.queue(self._state, letter, self._environ)
            self._say(b"250 2.0.0 ok " + name.encode())
        except MailError as error:
            with contextlib.suppress(MailError):  # it has one already
                for _ in content:  # the client hears only at the end of its message
                    pass
            self._say(error.reply.rstrip())
        self._reset()

    def _content(self) -> Iterator[bytes]:
        """The message with LF for CRLF, dots taken away. Raises GoneError; Permanent at the end of what is malformed."""
        yield self._trace()
        begins, bare, size, hops = True, False, 0, Hops()
        pieces: list[bytes] = []
        while (line := self._content_line()) != b".\r\n" or not begins:
            if begins and line[:1] == b".":
                line = line[1:]
            begins = line.endswith(b"\r\n")
            text = line[:-2] if begins else line
            bare = bare or b"\r" in text or b"\n" in text
            size += len(text) + begins
            if not self._limit or size <= self._limit:
                pieces.append(text + b"\n" if begins else text)
                hops.feed(pieces[-1])
            if len(pieces) > 1000:
                yield b"".join(pieces)
                pieces = []
        yield b"".join(pieces)
        if bare:
            raise Permanent(550, "5.6.0", "a bare CR or LF in the message: lines end in CRLF")
        if hops.count >= self._max_hops:
            raise Permanent(554, "5.4.6", "too many hops, this message is looping")
        if self._limit and size > self._limit:
            raise Permanent(552, "5.3.4", "message too large")

    def _trace(self) -> bytes:
        now = int(time.time())
        if self._policy is None:
            return b"Received: from localhost (HELO %b) (sendmail-bs@127.0.0.1)\n  by %b with SMTP; %b\n" % (
                self._helo,
                self._me,
                mail_date(now),
            )
        who, ip = self._environ.get(b"TCPREMOTEINFO", b""), self._environ.get(b"TCPREMOTEIP", b"unknown")
        return received.header(self._helo, who + b"@" + ip if who else ip, self._me, b"SMTP", now)

    def _content_line(self) -> bytes:
        """A line, or a piece of a long one that does not end within a CRLF."""
        line = self._reader.readline(command.CHUNK)
        if line.endswith(b"\r"):
            line += self._reader.readline(1)
        if not line:
            raise GoneError
        return line


if __name__ == "__main__":
    sys.exit(serve(os.environb))
