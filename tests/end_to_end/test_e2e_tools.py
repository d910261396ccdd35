"""qmail's tools at a running appliance, as an operator of qmail types them."""

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from appliance_process import PAPERPATH, Appliance, free_port, wait_until

RELAY = "relay: {allow_from: [127.0.0.1/32]}\n"


def tool(running: Appliance, name: str) -> list[str]:
    """The lines that a command prints."""
    env = {**os.environ, "PAPERPATH_STATE": str(running.state)}
    done = subprocess.run([PAPERPATH.with_name(name)], check=True, capture_output=True, text=True, env=env, timeout=20)
    return done.stdout.splitlines()


@pytest.fixture
def mute() -> Iterator[int]:
    """A port whose host does not even answer: its backlog is full, so the kernel drops what comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_the_queue_as_qmail_shows_it(appliance: Callable[..., Appliance]) -> None:
    """qmail-qread names each message and who still waits for it, qmail-qstat counts; running or not."""
    running = appliance(RELAY + f'routes: [{{domain: "*", via: "smtp://127.0.0.1:{free_port()}"}}]').start()
    name = running.send("x@refusing.example", sender='"a b"@client.example')
    wait_until(lambda: running.log("deferred"), 10, "a deferral")
    for _ in ("running", "stopped"):
        head, recipient = tool(running, "qmail-qread")
        date = r"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
        assert re.fullmatch(date + rf"  #{name}  \d+  <a_b@client.example> ", head), head
        assert recipient == "\tremote\tx@refusing.example"
        assert tool(running, "qmail-qstat") == [
            "messages in queue: 1",
            "messages in queue but not yet preprocessed: 0",
        ]
        running.stop()


def test_a_host_that_does_not_answer_is_remembered_until_told(appliance: Callable[..., Appliance], mute: int) -> None:
    """qmail-tcpto tells which address is left alone, and qmail-tcpok makes it be tried again."""
    more = RELAY + f'timeouts: {{connect: 1s}}\nroutes: [{{domain: "*", via: "smtp://127.0.0.1:{mute}"}}]'
    running = appliance(more).start()
    assert tool(running, "qmail-tcpto") == []
    running.send("x@silent.example")
    (line,) = wait_until(lambda: tool(running, "qmail-tcpto"), 10, "the address in the table")
    assert re.fullmatch(r"127\.0\.0\.1 timed out \d+ seconds ago; # recent timeouts: 1", line), line
    tool(running, "qmail-tcpok")
    wait_until(lambda: tool(running, "qmail-tcpto") == [], 5, "an empty table")
    running.stop()
    assert tool(running, "qmail-tcpto") == []
