"""A client's bytes to qmtpd: an answer a recipient for each whole package, and mail only for whom this host serves."""

import asyncio
from functools import cache
from pathlib import Path

import host

from appliance import envelope, netstring
from appliance.qmtpd.handover import Door
from appliance.qmtpd.package import Client
from appliance.qmtpd.session import Session
from appliance.qmtpd.settings import Settings
from appliance.state import State

WORDS = (
    b"5:\nabcd,",
    b"3:\rab,",
    b"0:,",
    b"11:s@a.example,",
    b"24:20:here@mx.here.example,,",
    b"2:0:,",
    b":",
    b",",
    b"\r\n",
)
WORDS += (b"Received: x\n", b"9999", b"4000001:", b"200000001:", b"alice@here.example", b"\0", b"1:\n,1:s,", b"-1:")
_OURS = (b"@mx.here.example", b"@here.example", b".wild.here.example")
_NO_QUEUE = State(Path("/nonexistent"))  # a large message is put off


def talk(data: bytes, protocol: bytes) -> tuple[list[bytes], list[envelope.Envelope], str]:
    """The answers, what the queue was given, and why the connection was broken off (nothing: it was not)."""
    client = Client(Door(_NO_QUEUE, Queue(), b""), _settings(), "192.0.2.1", protocol, protocol == b"QMQP")
    written, ended = asyncio.run(_serve(client, data))
    decoder = netstring.Decoder(1 << 20)
    answers = decoder.feed(written)
    assert not decoder.pending
    assert all(answer[:1] in (b"K", b"Z", b"D") for answer in answers)
    return answers, client.door.shared.letters, ended


def target(data: bytes, protocol: bytes = b"QMTP") -> None:
    answers, taken, ended = talk(data, protocol)
    accepted = sum(answer[:1] == b"K" for answer in answers)
    if protocol == b"QMQP":
        assert accepted == len(taken)
        assert len(answers) == (not ended and len(data) > 0)
        return
    recipients = [each for letter in taken for each in letter.recipients]
    assert accepted == len(recipients) or (ended and accepted < len(recipients))
    assert all(each.lower().endswith(_OURS) or b"@" not in each for each in recipients)


@cache
def _settings() -> Settings:
    return Settings(host.generation())


async def _serve(client: Client, data: bytes) -> tuple[bytes, str]:
    reader, writer = asyncio.StreamReader(), Writer()
    for piece in host.pieces(data):
        reader.feed_data(piece)
    reader.feed_eof()
    broken = await Session(client, reader, writer).run()
    return writer.written, str(broken or "")


class Writer:
    """A client that reads all at once."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        """It has."""


class Queue:
    """Takes every message."""

    def __init__(self) -> None:
        self.letters: list[envelope.Envelope] = []

    def submit(self, frame: bytes, tell) -> None:
        (payload,) = netstring.Decoder(1 << 24).feed(frame)
        self.letters.append(envelope.decode(payload)[0])
        tell(b"K1jzv3x0q8ma")
