"""What qmail-qmqpc makes of what a server answers, or does not."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import netstring
from appliance.inject import qmqpc

CODE = "import sys; from appliance.inject import qmqpc; qmqpc.CONNECT = qmqpc.TALK = 0.5; sys.exit(qmqpc.main())"


@contextlib.contextmanager
def server(answer: bytes) -> Iterator[int]:
    """A port that takes a request and gives this answer to it; an empty one is silence."""
    end = threading.Event()

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            decoder = netstring.Decoder(10_000)
            while not decoder.feed(client.recv(4096)):
                pass
            if answer:
                client.sendall(answer)
            else:
                end.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        end.set()
        thread.join()


def status(folder: Path, servers: str, message: bytes = b"Subject: x\n\n") -> int:
    """The exit status for a message to one recipient."""
    control = folder / "generations" / "one" / "control"
    control.mkdir(parents=True)
    (control / "qmqpservers").write_text(servers)
    (folder / "generations" / "active").symlink_to("one")
    (folder / "envelope").write_bytes(b"Fs@a.b\0Tr@c.d\0\0")
    with (folder / "envelope").open("rb") as envelope:
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            input=message,
            stdout=envelope,
            stderr=subprocess.PIPE,
            env={**os.environ, "PAPERPATH_STATE": str(folder)},
            timeout=30,
            check=False,
        )
    return done.returncode


@pytest.mark.parametrize(
    ("answer", "expected", "why"),
    [
        (b"10:Kok 1 qp 2,", 0, "taken"),
        (b"6:Dnever,", 31, "refused for good"),
        (b"6:Zlater,", 71, "put off"),
        (b"2:??,", 71, "a letter nobody knows is temporary"),
        (b"550 what?\r\n", 74, "no QMQP"),
        (b"6:Zla", 74, "it ends in the middle"),
        (b"", 74, "it says nothing"),
    ],
)
def test_the_answer_is_the_exit_status(tmp_path: Path, answer: bytes, expected: int, why: str) -> None:
    """K, D and Z; after the connection is made there is no other server."""
    with server(answer) as port, server(b"2:K!,") as other:
        assert status(tmp_path, f"127.0.0.1:{port}\n127.0.0.1:{other}\n") == expected, why
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", other), 1) as unused:
            unused.sendall(b"0:,")  # nobody has asked this one; let it go home


def test_a_server_that_does_not_take_the_connection_is_timed_out(tmp_path: Path) -> None:
    """72, if it was the last one; the times are qmail's."""
    assert (qmqpc.CONNECT, qmqpc.TALK) == (10, 60)
    with socket.socket() as full, contextlib.ExitStack() as fill:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # a full backlog drops what knocks
        for _ in range(4):
            knock = fill.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(full.getsockname())
        assert status(tmp_path, f"127.0.0.1:{full.getsockname()[1]}\n") == 72
