"""Which settings a program serves under while the configuration changes."""

import os
from pathlib import Path

import pytest

from appliance import log
from appliance.control import Generation
from appliance.in_force import InForce
from appliance.state import State


class Settings:
    """What a program might read of a generation."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.me = generation.me


def activate(state: State, name: str, me: bytes | None) -> None:
    """Make a generation the active one."""
    folder = state.generations / name / "control"
    folder.mkdir(parents=True)
    if me is not None:
        (folder / "me").write_bytes(me)
    state.generation.with_name("next").symlink_to(name)
    state.generation.with_name("next").rename(state.generation)


def test_settings_follow_the_active_generation_and_trouble_is_told_once(tmp_path: Path) -> None:
    """Read anew for a new generation only; one that can't be used is told of once, and the last good settings are kept."""
    state, told = State(tmp_path), tmp_path / "log"
    activate(state, "g1", b"one")
    configuration = InForce(state, Settings)
    first = configuration.current()
    assert first is configuration.settings
    assert first.me == b"one"
    assert configuration.current() is first
    activate(state, "g2", None)
    fd = os.open(told, os.O_CREAT | os.O_WRONLY, 0o600)
    log.setup("test", fd=fd)
    try:
        assert configuration.current() is None
        assert configuration.current() is None
    finally:
        log.flush()
        log.setup("test")
        os.close(fd)
    assert told.read_bytes().count(b"control/me is missing") == 1
    assert "control/me is missing" in configuration.trouble
    assert configuration.settings is first
    activate(state, "g3", b"three")
    third = configuration.current()
    assert third is not None
    assert third.me == b"three"
    assert not configuration.trouble


def test_without_settings_a_program_does_not_start(tmp_path: Path) -> None:
    """The first generation must be of use."""
    activate(State(tmp_path), "g1", None)
    with pytest.raises(LookupError, match="control/me"):
        InForce(State(tmp_path), Settings)
