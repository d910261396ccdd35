"""A client's bytes to smtpd: replies that are replies, however the bytes were cut, and mail only for whom this host serves."""

from functools import cache

import host

from appliance import envelope, netstring, reply
from appliance.smtpd.session import Session
from appliance.smtpd.settings import Settings

WORDS = (
    b"EHLO a\r\n",
    b"MAIL FROM:<",
    b"RCPT TO:<",
    b">\r\n",
    b"DATA\r\n",
    b"\r\n.\r\n",
    b"RSET\r\n",
    b"QUIT\r\n",
    b"NOOP\r\n",
)
WORDS += (
    b"@here.example",
    b"here@mx.here.example",
    b'"',
    b"\\",
    b"%",
    b"@x.wild.here.example",
    b"[192.0.2.9]",
    b" SIZE=9",
)
WORDS += (
    b"[IPv6:::1]",
    b"@a,@b:",
    b"Received: x\r\n",
    b"\n.\n",
    b"\r\n..",
    b"VRFY x\r\n",
    b"alice@here.example",
    b"\r",
    b"\n",
)
_OURS = (b"@mx.here.example", b"@here.example", b".wild.here.example")


class Queue:
    """Takes what is handed over, and answers when it is asked to."""

    room = 1_000_000  # bytes

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._waiting = []

    def submit(self, frame: bytes, tell) -> None:
        self.frames.append(frame)
        self._waiting.append(tell)

    def answer(self) -> None:
        while self._waiting:
            self._waiting.pop(0)(b"K1jzv3x0q8ma")


class Transport:
    """A client that reads all at once."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("192.0.2.1", 1) if name == "peername" else ("192.0.2.9", 25)

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """What comes waits in the session."""


class Server:
    """What a session asks of its program."""

    stopping = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.configuration = self.loop = self
        self.shared = Queue()
        self.door = self

    def time(self) -> float:
        return 0.0

    def admit(self, session: Session, address: str) -> Settings:
        return self.settings


def target(data: bytes) -> None:
    whole = _talk([data], _settings())
    assert _talk(host.pieces(data), _settings()) == whole
    written, letters = whole
    assert b"internal error" not in written
    parser = reply.Parser()
    codes = [answer.code for answer in parser.feed(written)]
    assert codes[0] == 220
    assert written.endswith(b"\r\n")
    assert sum(b"accepted" in line for line in written.split(b"\r\n")) == len(letters)
    for letter, content in letters:
        assert letter.recipients
        assert all(recipient.lower().endswith(_OURS) or b"@" not in recipient for recipient in letter.recipients)
        assert not letter.sender.lower().endswith(b"@bad.example")
        assert b"\r" not in content
        assert len(content) <= 3000


@cache
def _settings() -> Settings:
    return Settings(host.generation())


def _talk(pieces: list[bytes], settings: Settings) -> tuple[bytes, list[tuple[envelope.Envelope, bytes]]]:
    server, transport = Server(settings), Transport()
    session = Session(server)
    session.connection_made(transport)
    for piece in pieces:
        if transport.closed:
            break
        session.data_received(piece)
        server.shared.answer()
    letters = []
    for frame in netstring.Decoder(1 << 20).feed(b"".join(server.shared.frames)):
        letter, start = envelope.decode(frame)
        _received, _by, content = frame[start:].split(b"\n", 2)
        letters.append((letter, content))
    return transport.written, letters
