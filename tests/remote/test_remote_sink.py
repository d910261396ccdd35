"""Postfix's smtp-sink as the next host, with its faults."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import time

import pytest
from remote_parts import delivery, make_state, on_uvloop, relaying

SINK = shutil.which("smtp-sink", path=os.environ.get("PATH", "") + ":/usr/sbin")
pytestmark = pytest.mark.skipif(SINK is None, reason="smtp-sink is missing (Debian package postfix)")


@pytest.fixture
def sink():
    """Start smtp-sink with these flags; its address as a route's value."""
    running = []

    def start(*flags: str) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        user = ["-u", pwd.getpwuid(os.getuid()).pw_name] if os.getuid() == 0 else []
        running.append(subprocess.Popen([SINK, *user, *flags, f"127.0.0.1:{port}", "100"]))
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"127.0.0.1:{port}"
            time.sleep(0.02)
        raise AssertionError("smtp-sink does not start")

    yield start
    for process in running:
        process.terminate()
        process.wait()


FAULTS = [
    ([], {"K"}, "as it comes"),
    (["-p"], {"K"}, "no PIPELINING"),
    (["-e"], {"K"}, "no ESMTP at all"),
    (["-8"], {"K"}, "no 8BITMIME"),
    (["-f", "ehlo"], {"K"}, "5xx to EHLO: HELO serves"),
    (["-f", "mail"], {"D"}, "5xx to MAIL"),
    (["-f", "rcpt"], {"D"}, "5xx to RCPT"),
    (["-f", "data"], {"D"}, "5xx to DATA"),
    (["-f", "."], {"D"}, "5xx to the dot"),
    (["-r", "mail"], {"Z"}, "4xx to MAIL"),
    (["-r", "rcpt"], {"Z"}, "4xx to RCPT"),
    (["-r", "."], {"Z"}, "4xx to the dot"),
    (["-q", "mail"], {"Z"}, "hangs up at MAIL"),
    (["-q", "data"], {"Z"}, "hangs up at DATA"),
    (["-q", "."], {"Z"}, "hangs up at the dot"),
    (["-Q", "connect"], {"Z"}, "421 at once"),
    (["-A", "0"], {"D", "Z"}, "answers 550 in the middle of the content, and hangs up"),
    (["-f", "ehlo,helo"], {"Z"}, "does not want to talk to us"),
]


@pytest.mark.parametrize(("flags", "results", "reason"), FAULTS, ids=[row[2] for row in FAULTS])
def test_smtp_sink(tmp_path, sink, flags, results, reason):
    """Twenty messages, each with one report of the right kind."""
    route = sink(*flags)

    async def run():
        state = make_state(tmp_path, smtproutes=f":{route}", concurrencyremote="3")
        async with relaying(state) as queue:
            await queue.give(*[delivery(n) for n in range(1, 21)])
            found = await queue.results(*range(1, 21))
            await asyncio.sleep(0)
            assert set(found.split()) <= results, reason

    on_uvloop(run())
