"""The intake door's two clients, against a socket that answers like the queue."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from appliance import door, intake, netstring
from appliance.errors import Permanent, Temporary
from appliance.intake import Intake
from appliance.state import State

Answer = Callable[[bytes], bytes | None]


class Server:
    """Answers each frame after the hello by `answer`; None closes the connection."""

    def __init__(self, state: State, answer: Answer) -> None:
        self.frames: list[bytes] = []
        self.reads = 0
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(state.door("intake")))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        decoder, hello = netstring.Decoder(intake.FRAME), True
        while data := connection.recv(1 << 20):
            self.reads += 1
            for frame in decoder.feed(data):
                if hello:
                    hello = False
                    continue
                self.frames.append(frame)
                answer = self._answer(frame)
                if answer is None:
                    return
                if answer:
                    connection.sendall(netstring.encode(answer))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path)
    state.run.mkdir()
    door.make_tokens(state)
    return state


@pytest.fixture
def serve(state: State) -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(state, answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


async def _ask(state: State, count: int) -> list[object]:
    client = Intake(state, "smtpd")
    answers: list[object] = []
    for n in range(count):
        client.submit(intake.request(b"s", (b"r%d" % n,), b"content"), answers.append)
    while len(answers) < count:  # noqa: ASYNC110  # they are told one by one
        await asyncio.sleep(0.001)
    client.close()
    await asyncio.sleep(0)
    return answers


def test_pipelined_requests_are_answered_in_their_order(state: State, serve: Callable[[Answer], Server]) -> None:
    """Each request is told its own answer."""
    serve(lambda frame: b"K" + frame[4:6])
    assert asyncio.run(_ask(state, 10)) == [b"Kr%d" % n for n in range(10)]


def test_requests_of_one_turn_leave_in_one_write(state: State, serve: Callable[[Answer], Server]) -> None:
    """Group commit begins here."""
    server = serve(lambda _: b"K1")
    asyncio.run(_ask(state, 20))
    assert len(server.frames) == 20
    assert server.reads <= 3


def test_without_a_queue_every_request_is_temporary(state: State) -> None:
    """The client is told to come back."""
    (answer,) = asyncio.run(_ask(state, 1))
    assert isinstance(answer, Temporary)
    assert answer.code == 451


def test_a_queue_that_goes_away_leaves_no_request_without_an_answer(
    state: State, serve: Callable[[Answer], Server]
) -> None:
    """Those without an answer are temporary, those with one stay accepted."""
    answered: list[bytes] = []
    serve(lambda frame: answered.append(frame) or b"K1" if not answered else None)
    first, *rest = asyncio.run(_ask(state, 4))
    assert first == b"K1"
    assert all(isinstance(answer, Temporary) for answer in rest)


@pytest.mark.parametrize("answer", [b"K" * 10, b"Zfull", b"Dno", b""])
def test_a_large_message_is_streamed_and_its_answer_read(
    state: State, serve: Callable[[Answer], Server], answer: bytes
) -> None:
    """`L` and the envelope, chunks of at most 64 KiB, an empty one."""
    content = bytes(range(256)) * 1000
    server = serve(lambda frame: answer or None if not frame else b"")
    hello = door.hello("local", b"t")

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    for send in (
        lambda: intake.submit_blocking(state, hello, b"s", (b"r",), [content]),
        lambda: asyncio.run(intake.submit_large(state, hello, b"s", (b"r",), chunks())),
    ):
        server.frames.clear()
        if answer[:1] == b"K":
            assert send() == "K" * 9
        else:
            with pytest.raises(Permanent if answer == b"Dno" else Temporary):
                send()
        assert server.frames[0] == b"LFs\0Tr\0\0"
        assert b"".join(server.frames[1:]) == content
        assert max(map(len, server.frames)) <= intake.CHUNK


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run])
def test_a_queue_that_refuses_in_the_middle_is_heard(state: State, loop) -> None:
    """It answers and closes, and the writer's next piece fails: the answer counts, not the broken connection."""
    rounds, content = 10, b"x" * 400_000

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 50_000):
            yield content[start : start + 50_000]

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state.door("intake")))
        listener.listen()

        def refuse() -> None:
            for _ in range(2 * rounds):
                with listener.accept()[0] as connection:
                    connection.recv(100_000)
                    connection.sendall(netstring.encode(b"Zno room for new mail now"))

        server = threading.Thread(target=refuse)
        server.start()
        hello = door.hello("local", b"t")
        for send in (
            lambda: intake.submit_blocking(state, hello, b"s", (b"r",), [content]),
            lambda: loop(intake.submit_large(state, hello, b"s", (b"r",), chunks())),
        ):
            for _ in range(rounds):
                with pytest.raises(Temporary) as refused:
                    send()
                assert refused.value.code == 452
        server.join()


def test_a_source_that_fails_in_the_middle_sends_no_end(state: State, serve: Callable[[Answer], Server]) -> None:
    """A connection dropped early leaves nothing in the queue."""
    server = serve(lambda _: b"")

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise TimeoutError("client is gone")

    with pytest.raises((Temporary, TimeoutError)):
        intake.submit_blocking(state, door.hello("local", b"t"), b"s", (b"r",), chunks())
    assert b"" not in server.frames


@pytest.mark.parametrize(("answer", "error"), [(b"Dtoo bad", Permanent), (b"Zlater", Temporary), (b"?", Temporary)])
def test_the_answer_s_letter_decides(answer: bytes, error: type[Exception]) -> None:
    """K is an id; anything unknown is temporary."""
    assert intake.accepted(b"Kabc") == "abc"
    with pytest.raises(error):
        intake.accepted(answer)


def test_request_in_pieces() -> None:
    """It makes no difference to the queue in how many pieces smtpd read the content."""
    whole = intake.request(b"s", (b"r",), b"Received: x\nSubject: y\n\ntext\n")
    assert intake.request(b"s", (b"r",), b"Received: x\n", b"Subject: y\n\n", b"", b"text\n") == whole
