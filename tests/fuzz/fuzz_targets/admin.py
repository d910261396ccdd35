"""Requests at the admin door: each has an answer that comes to its end, and what an operator asks next is answered."""

import asyncio
import atexit
import json
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

import host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "queue"))
from queue_parts import Desk, make_state

from appliance import netstring
from appliance.queue.admin import Admin
from appliance.queue.memory import MemoryStore
from appliance.queue.present import Present
from appliance.state import State

WORDS = (
    b'{"do": "',
    b'"id": "',
    b'"}',
    b"1k0vnjfcffm",
    b"null",
    b"[",
    b"{",
    b"1e999",
    b"true",
    b'"forget": ',
    b"\\u0000",
    b",",
)
WORDS += tuple(b'{"do": "%b"}' % verb for verb in (b"ping", b"list", b"show", b"retry", b"hold", b"drop", b"silent"))


class Transport:
    """Takes what is said."""

    def __init__(self) -> None:
        self.said = b""

    def write(self, data: bytes) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing comes."""

    resume_reading = pause_reading


@cache
def _state() -> State:
    host.silent()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_state(folder)


def target(data: bytes) -> None:
    asyncio.run(_ask(data.split(b"\n")[:20]))


async def _ask(requests: list[bytes]) -> None:
    desk = Desk(_state(), MemoryStore())
    desk.service.writer.trouble = ""
    desk.accept([b"alice@example.org"])
    admin = Admin(mock.Mock(), Present(), desk.service, desk.store, mock.Mock())
    admin.transport, admin.role = Transport(), "admin"
    admin.entered()
    for request in [*requests, b'{"do": "ping"}']:
        before = len(admin.transport.said)
        admin.frames([request])
        for _ in range(40):
            await asyncio.sleep(0)
            desk.run()
        answers = netstring.Decoder(1 << 20).feed(admin.transport.said[before:])
        assert answers, f"no answer to {request!r}"
        assert answers[-1] == b"", f"no end of the answer to {request!r}"
        assert all(isinstance(json.loads(answer), dict) for answer in answers[:-1])
    assert "messages" in json.loads(answers[0])
    admin._task.cancel()
    desk.stop()
