"""Role tokens at the queue's doors."""

from pathlib import Path

import pytest

from appliance import door, netstring
from appliance.door import Guard, WrongToken
from appliance.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path)
    door.make_tokens(state)
    return state


def frame(hello: bytes) -> bytes:
    return netstring.Decoder(1000).feed(hello)[0]


def test_a_program_enters_where_its_role_may(state: State) -> None:
    """Local enters by both doors, each with the same token."""
    hello = frame(door.hello("local", door.read_token(state, "local")))
    assert [Guard(state, name).role(hello) for name in ("intake", "lease")] == ["local", "local"]


@pytest.mark.parametrize(
    ("role", "token_of", "entrance", "reason"),
    [
        ("smtpd", "smtpd", "lease", "smtpd takes no deliveries"),
        ("remote", "remote", "intake", "remote submits nothing"),
        ("local", "remote", "lease", "another role's token"),
        ("local", "local", "admin", "only admin is admin"),
        ("nobody", "local", "lease", "no such role"),
    ],
)
def test_nobody_enters_with_a_wrong_role_or_token(
    state: State, role: str, token_of: str, entrance: str, reason: str
) -> None:
    """A socket's path is no secret, so the token is what counts."""
    with pytest.raises(WrongToken):
        Guard(state, entrance).role(frame(door.hello(role, door.read_token(state, token_of))))


@pytest.mark.parametrize("hello", [b"", b"local", b"local ", b"\xff\xfe x", b" ", b"local " + b"0" * 64])
def test_garbage_is_refused(state: State, hello: bytes) -> None:
    """Whatever the first frame is."""
    with pytest.raises(WrongToken):
        Guard(state, "lease").role(hello)


def test_tokens_are_the_owner_s_alone_and_new_at_every_boot(state: State) -> None:
    """A token of yesterday opens nothing."""
    before = {role: door.read_token(state, role) for role in door.ROLES}
    assert len(set(before.values())) == len(door.ROLES)
    door.make_tokens(state)
    for role in door.ROLES:
        assert (state.tokens / role).stat().st_mode & 0o777 == 0o600
        assert door.read_token(state, role) != before[role]
    assert state.tokens.stat().st_mode & 0o777 == 0o700
