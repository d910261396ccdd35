"""What local and the launcher say to each other."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import launch, netstring
from appliance.launch import Outcome, Request

WORD = st.binary(max_size=50).filter(lambda text: b"\0" not in text)
VARIABLE = st.tuples(WORD.filter(lambda name: name and b"=" not in name), WORD).map(b"=".join)


def unframed(frame: bytes) -> bytes:
    (payload,) = netstring.Decoder(launch.FRAME).feed(frame)
    return payload


@given(WORD, WORD, st.lists(VARIABLE, min_size=1, max_size=5))
def test_a_request_comes_back_as_it_was(home: bytes, command: bytes, variables: list[bytes]) -> None:
    """Any bytes but NUL, which no program's environment can hold."""
    request = Request(b"/" + home, command, tuple(variables))
    assert launch.decode_request(unframed(launch.encode_request(request))) == request


@given(st.sampled_from([b"E", b"S", b"L", b"Z"]), WORD, st.binary(max_size=50))
def test_an_outcome_comes_back_as_it_was(letter: bytes, detail: bytes, output: bytes) -> None:
    """A program may write any bytes."""
    outcome = Outcome(letter, detail, output)
    assert launch.decode_outcome(unframed(launch.encode_outcome(outcome))) == outcome


@given(st.binary(max_size=100))
def test_garbage_is_an_error_and_nothing_else(payload: bytes) -> None:
    """Both sides say ValueError, or understand a request with an absolute home."""
    for decode in (launch.decode_request, launch.decode_outcome):
        try:
            found = decode(payload)
        except ValueError:
            continue
        assert not isinstance(found, Request) or found.home.startswith(b"/")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"/home",
        b"/home\0command",
        b"home\0command\0A=b\0",
        b"/home\0command\0A=b",
        b"/home\0command\0Ab\0",
        b"/home\0command\0=b\0",
    ],
)
def test_a_request_needs_all_its_parts(payload: bytes) -> None:
    """An absolute home, a command, variables that have a name and an end."""
    with pytest.raises(ValueError, match="expected"):
        launch.decode_request(payload)


@pytest.mark.parametrize(
    "request_", [Request(b"/h\0", b"c", ()), Request(b"/h", b"c\0d", ()), Request(b"/h", b"c", (b"A=\0",))]
)
def test_nul_is_refused_before_anything_is_sent(request_: Request) -> None:
    """It would end a string of the system."""
    with pytest.raises(ValueError, match="NUL"):
        launch.encode_request(request_)


@pytest.mark.parametrize("size", [1, 300_000])
def test_a_request_and_its_descriptor_arrive_together(size: int) -> None:
    """However long the command is."""
    here, there = socket.socketpair()
    request = Request(b"/h", b"x" * size, (b"A=b",))
    with here, there, open(os.devnull, "rb") as stdin:
        if not (pid := os.fork()):
            try:
                launch.run(here, netstring.encode(b"hello"), request, stdin.fileno())
            finally:
                os._exit(0)
        (hello, frame), fd = launch.receive(there)
        os.close(fd)
        assert hello == b"hello"
        assert launch.decode_request(frame) == request
        there.sendall(launch.encode_outcome(Outcome(b"E", b"0", b"")))
        os.waitpid(pid, 0)
