"""Activation: the old generation or the new one, at every instant."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

from appliance.config.activate import KEEP, activate, active, read
from appliance.config.generation import generation_name
from appliance.control import Control
from appliance.state import State

ONE = {"control/me": b"one\n", "users/assign": b".\n", "mail/a.example/x/.qmail": b"./Maildir/\n"}
TWO = {"control/me": b"two\n", "users/assign": b".\n"}


def kept_generations(state):
    """The folders of generations, without the link to the one in force."""
    return [path for path in state.generations.iterdir() if not path.is_symlink()]


@pytest.fixture
def state(tmp_path):
    return State(tmp_path / "state")


def test_programs_see_the_generation_that_was_activated(state):
    """control/ and users/ lead through one link."""
    name, previous = activate(ONE, state)
    assert (name, previous) == (generation_name(ONE), None)
    assert Control(state).current().me == b"one"
    assert read(state.generation) == ONE
    assert (state.root / "control" / "me").read_bytes() == b"one\n"
    assert (state.root / "users" / "assign").read_bytes() == b".\n"


def test_the_previous_generation_stays(state):
    """A session that began under the old generation can end under it."""
    control = Control(state)
    first, _ = activate(ONE, state)
    old = control.current()
    assert activate(TWO, state) == (generation_name(TWO), first)
    assert control.current().me == b"two"
    assert old.read("me") == b"one\n"
    assert activate(ONE, state) == (first, generation_name(TWO))


def test_the_same_again_changes_nothing(state):
    """A file that was only touched swaps no link."""
    name, _ = activate(ONE, state)
    before = os.lstat(state.generation).st_ino
    assert activate(ONE, state) == (name, name)
    assert os.lstat(state.generation).st_ino == before


def test_what_a_crash_left_is_removed(state):
    """Half a generation from a power cut does not stay, nor stop the next."""
    activate(ONE, state)
    half = state.generations / f".new-{generation_name(TWO)}"
    half.mkdir()
    (half / "control").mkdir()
    (state.generations / "active.new").symlink_to("nowhere")
    activate(TWO, state)
    assert sorted(path.name for path in state.generations.iterdir()) == sorted(
        [generation_name(ONE), generation_name(TWO), "active"]
    )
    assert not os.path.lexists(state.generations / "active.new")


def test_a_generation_that_somebody_changed_is_written_again(state):
    """An edited control file is not kept: the YAML decides."""
    activate(ONE, state)
    (state.generation / "control" / "me").write_bytes(b"edited\n")
    (state.generation / "control" / "more").write_bytes(b"")
    activate(ONE, state)
    assert read(state.generation) == ONE


def test_old_generations_go_when_nothing_can_read_them_any_more(state):
    """The newest few stay, and any that was in force within the hour."""
    long_ago = time.time() - 86400
    for number in range(KEEP + 4):
        activate({"control/me": b"%d\n" % number}, state)
    assert len(kept_generations(state)) == KEEP + 4
    for number, path in enumerate(
        sorted(kept_generations(state), key=lambda path: (path / "control" / "me").read_bytes())
    ):
        os.utime(path, (long_ago + number, long_ago + number))
    activate(ONE, state)
    kept = {(path / "control" / "me").read_bytes() for path in kept_generations(state)}
    assert kept == {b"one\n", b"8\n", b"7\n", b"6\n", b"5\n"}


SECRET = TWO | {"secrets/passwords.cdb": b"hashes"}


def test_secrets_lie_apart_and_belong_to_the_owner_alone(state):
    """Every program may read the generations; only some may read what people log in with."""
    name, _ = activate(SECRET, state)
    generation = Control(state).current()
    assert generation.secrets == state.secrets / name
    assert (generation.secrets / "passwords.cdb").read_bytes() == b"hashes"
    assert not [path for path in state.generations.rglob("*") if "secret" in path.name or path.suffix == ".cdb"]
    assert (generation.secrets / "passwords.cdb").stat().st_mode & 0o777 == 0o600
    assert state.secrets.stat().st_mode & 0o777 == 0o700


def test_secrets_that_somebody_removed_or_changed_are_written_again(state):
    """As the rest of a generation."""
    name, _ = activate(SECRET, state)
    (state.secrets / name / "passwords.cdb").write_bytes(b"others")
    activate(SECRET, state)
    assert (state.secrets / name / "passwords.cdb").read_bytes() == b"hashes"
    (state.secrets / name / "passwords.cdb").unlink()
    (state.secrets / name).rmdir()
    activate(SECRET, state)
    assert (state.secrets / name / "passwords.cdb").read_bytes() == b"hashes"


def test_secrets_go_with_their_generation(state):
    """A hash that is not in the YAML any more is not kept for ever."""
    name, _ = activate(SECRET, state)
    long_ago = time.time() - 86400
    for number in range(KEEP + 2):
        made, _ = activate({"control/me": b"%d\n" % number}, state)
        os.utime(state.generations / made, (long_ago + number, long_ago + number))
    os.utime(state.generations / name, (long_ago - 9, long_ago - 9))
    activate(ONE, state)
    assert not (state.generations / name).exists()
    assert list(state.secrets.iterdir()) == []


@pytest.mark.parametrize("steps", [*range(2, 22), 30])
def test_a_crash_leaves_no_generation_without_its_secrets(state, steps):
    """They are there before the link is swapped."""
    activate(ONE, state)
    crash = CRASH.replace('b".\\n"}', 'b".\\n", "secrets/passwords.cdb": b"hashes"}')
    assert crash != CRASH
    subprocess.run([sys.executable, "-c", crash, str(state.root), str(steps)], check=False)
    if Control(state).current().me == b"two":
        assert (Control(state).current().secrets / "passwords.cdb").read_bytes() == b"hashes"
    activate(SECRET, state)
    assert {path.name for path in state.secrets.iterdir()} == {generation_name(SECRET)}


CRASH = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from appliance.config.activate import activate
    from appliance.state import State
    left = int(sys.argv[2])
    def crash(event, arguments):
        global left
        if event in ("open", "os.rename", "os.symlink", "os.mkdir", "os.remove", "os.rmdir"):
            left -= 1
            if left < 0:
                os._exit(9)
    sys.addaudithook(crash)
    activate({"control/me": b"two\\n", "users/assign": b".\\n"}, State(Path(sys.argv[1])))
""")


@pytest.mark.parametrize("steps", [0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 40])
def test_a_crash_leaves_the_old_generation_or_the_new_one(state, steps):
    """Killed before any of its system calls, an activation was whole or was not."""
    activate(ONE, state)
    subprocess.run([sys.executable, "-c", CRASH, str(state.root), str(steps)], check=False)
    assert read(state.generation) in (ONE, TWO)
    assert Control(state).current().me in (b"one", b"two")
    activate(TWO, state)
    assert read(state.generation) == TWO
    assert active(state) == generation_name(TWO)
    assert {path.name for path in kept_generations(state)} <= {generation_name(ONE), generation_name(TWO)}
