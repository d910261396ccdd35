"""The lease protocol's frames, and the descriptor of a large message."""

import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import door, lease, netstring
from appliance.errors import Result
from appliance.lease import Delivery, Report
from appliance.state import State

ADDRESS = st.binary(max_size=40).filter(lambda address: b"\0" not in address)
NUMBER = st.integers(0, 1 << 60)


def payload(frame: bytes) -> bytes:
    (found,) = netstring.Decoder(lease.FRAME).feed(frame)
    return found


@given(
    NUMBER, NUMBER, NUMBER, ADDRESS, ADDRESS, st.lists(ADDRESS, max_size=4), st.none() | st.binary(max_size=100), NUMBER
)
def test_a_delivery_survives_the_way(  # one strategy for each field
    number: int,
    message: int,
    attempt: int,
    destination: bytes,
    sender: bytes,
    recipients: list[bytes],
    content: bytes | None,
    size: int,
) -> None:
    """Content of any bytes, empty or elsewhere; senders and destinations that are empty."""
    delivery = Delivery(number, message, attempt, destination, sender, tuple(recipients), size, content)
    assert lease.decode_delivery(payload(lease.encode_delivery(delivery))) == delivery


def test_a_report_survives_the_way_with_one_record_a_recipient() -> None:
    """In the order of the delivery's recipients."""
    reports = [Report(Result.DONE, b"did 1+0+0"), Report(Result.TEMPORARY, b""), Report(Result.PERMANENT, b"550 no\n")]
    assert lease.decode_report(payload(lease.encode_report(77, reports))) == (77, reports)
    assert lease.decode_report(payload(lease.encode_report(77, []))) == (77, [])


def test_a_text_can_not_forge_another_record() -> None:
    """NUL ends a record, so it is replaced; what is too long is cut."""
    forged = [Report(Result.TEMPORARY, b"no\0Kyes"), Report(Result.DONE, b"x" * 20_000)]
    _, found = lease.decode_report(payload(lease.encode_report(1, forged)))
    assert [report.result for report in found] == [Result.TEMPORARY, Result.DONE]
    assert found[0].text == b"no?Kyes"
    assert len(found[1].text) == lease.TEXT


@pytest.mark.parametrize("letter", [b"X", b"k", b""])
def test_an_unknown_letter_is_temporary(letter: bytes) -> None:
    """Anything unknown is temporary, never done and never permanent."""
    assert lease.decode_report(b"R5\0" + letter + b"\0")[1][0].result is Result.TEMPORARY


@pytest.mark.parametrize("data", [b"", b"1 2 3", b"1 2 3 4 1\0dest\0no envelope", b"a b c d e\0\0F\0\0"])
def test_what_is_no_delivery_is_a_value_error(data: bytes) -> None:
    """The worker gives such a connection up."""
    with pytest.raises(ValueError):  # noqa: PT011  # whichever of its kinds
        lease.decode_delivery(data)


def serve(state: State, answer: object) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(state.door("lease")))
    listener.listen()

    def run() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            decoder, frames = netstring.Decoder(100), []
            while len(frames) < 2:
                frames += decoder.feed(connection.recv(100))
            answer(connection, frames)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_large_message_comes_as_a_descriptor_at_offset_zero(tmp_path: Path) -> None:
    """No program holds a large message in memory."""
    state = State(tmp_path)
    state.run.mkdir()
    (tmp_path / "body").write_bytes(b"content")
    seen = []

    def answer(connection: socket.socket, frames: list[bytes]) -> None:
        seen.extend(frames)
        with (tmp_path / "body").open("rb") as body:
            socket.send_fds(connection, [b"K"], [body.fileno()])

    thread = serve(state, answer)
    fd = lease.fetch_body(state, door.hello("local", b"token"), 42)
    thread.join()
    assert seen == [b"local token", b"B42"]
    assert os.pread(fd, 100, 0) == b"content"
    os.close(fd)


@pytest.mark.parametrize("answer", [b"Z", b""])
def test_a_message_that_is_gone_gives_an_error(tmp_path: Path, answer: bytes) -> None:
    """The worker reports it as temporary."""
    state = State(tmp_path)
    state.run.mkdir()
    thread = serve(state, lambda connection, _: connection.sendall(answer))
    with pytest.raises(FileNotFoundError, match="message 42"):
        lease.fetch_body(state, door.hello("local", b"t"), 42)
    thread.join()
