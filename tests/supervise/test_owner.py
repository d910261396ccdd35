"""Who the programs run as when root starts them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

ROOT = Path(__file__).resolve().parents[2]
SOMEBODY, NOBODY = 1234, 65534
SCRIPT = """
import os, sys
from pathlib import Path
from appliance.supervise import owner
try:
    owner.settle(Path(sys.argv[1]), Path(sys.argv[2]))
except owner.Refused as refusal:
    sys.exit(f"refused: {refusal}")
print(os.getresuid(), os.getgroups(), Path(sys.argv[1]).stat().st_uid, file=sys.stderr)
"""


def usable_python() -> str:
    """A Python that everybody can read: this one, or the system's."""
    reader = f"import os; os.setuid({NOBODY}); open(os.__file__); open({__file__!r})"
    for python in (sys.executable, "/usr/bin/python3"):
        if not subprocess.run([python, "-c", reader], check=False, capture_output=True).returncode:
            return python
    pytest.skip("no Python and checkout that another user can read")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder everybody can reach, with a YAML everybody can read."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        (Path(made) / "mail.yaml").touch(0o644)
        yield Path(made)


def settle(folder: Path) -> str:
    words = [usable_python(), "-c", SCRIPT, folder / "state", folder / "mail.yaml"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONDONTWRITEBYTECODE": "1"}
    )
    return done.stdout + done.stderr


def runs_as(uid: int) -> str:
    return f"({uid}, {uid}, {uid}) [] {uid}\n"


def state_of(folder: Path, uid: int, *, content: bool) -> None:
    (folder / "state").mkdir()
    if content:
        (folder / "state" / "generations").mkdir()
    os.chown(folder / "state", uid, uid)


def test_root_becomes_the_owner_of_the_state_folder(folder: Path) -> None:
    """A volume that belongs to a user is worked on as that user, with no group left."""
    state_of(folder, SOMEBODY, content=True)
    assert runs_as(SOMEBODY) in settle(folder)


def test_a_new_state_folder_of_root_goes_to_nobody(folder: Path) -> None:
    """Missing, or empty as a fresh volume is."""
    assert runs_as(NOBODY) in settle(folder)
    assert runs_as(NOBODY) in settle(folder)
    (folder / "state").rmdir()
    state_of(folder, 0, content=False)
    assert runs_as(NOBODY) in settle(folder)


def test_a_new_state_folder_belongs_to_the_owner_of_its_place(folder: Path) -> None:
    """`sudo paperpath run` in a user's checkout leaves no file of another user there."""
    os.chown(folder, SOMEBODY, SOMEBODY)
    assert runs_as(SOMEBODY) in settle(folder)


def test_a_state_folder_of_root_keeps_root_with_a_loud_warning(folder: Path) -> None:
    """Whoever gives root a folder of root's gets what was asked for, and is told."""
    state_of(folder, 0, content=True)
    said = settle(folder)
    assert "(0, 0, 0)" in said
    assert f"RUNNING AS ROOT, because {folder}/state belongs to root" in said


def test_what_the_new_owner_can_not_read_is_named(folder: Path) -> None:
    """A YAML that only root can read: root stays, and says which file is the reason."""
    (folder / "mail.yaml").chmod(0o600)
    said = settle(folder)
    assert f"RUNNING AS ROOT, because uid {NOBODY} can't read {folder}/mail.yaml" in said
    assert "(0, 0, 0)" in said


def test_files_of_a_user_are_never_made_by_root(folder: Path) -> None:
    """Where the state folder has another owner, staying root is no way, whatever is allowed."""
    state_of(folder, SOMEBODY, content=True)
    (folder / "mail.yaml").chmod(0o600)
    assert f"uid {SOMEBODY} can't read {folder}/mail.yaml; mend that" in settle(folder)
