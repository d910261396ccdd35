"""paperpath check and paperpath compile, as a person and a program call them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.config.activate import read

CONFIG = Path(__file__).parent
FULL = CONFIG / "golden" / "full"


def paperpath(*words, cwd=CONFIG):
    command = Path(sys.executable).with_name("paperpath")
    return subprocess.run([command, *words], capture_output=True, text=True, check=False, cwd=cwd)


def test_check_says_what_a_configuration_does():
    """ok, the hash, what is in it, and the warnings."""
    done = paperpath("check", FULL / "mail.yaml")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].startswith("ok ")
    assert lines[1:4] == ["domains: 1", "mailboxes: 2", "aliases: 2"]
    assert "warning: tls: not served yet; clients are not offered STARTTLS" in lines


def test_check_says_all_that_is_wrong():
    """One line each to standard error, the file named as it was given, exit status 2."""
    done = paperpath("check", "mail.yaml", cwd=CONFIG / "bad" / "all-at-once")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (CONFIG / "bad" / "all-at-once" / "expected").read_text()


def test_check_answers_programs_too():
    """--json is one object, for a right file and for a wrong one."""
    good = json.loads(paperpath("check", "--json", FULL / "mail.yaml").stdout)
    assert (good["ok"], good["mailboxes"], len(good["configuration"])) == (True, 2, 16)
    done = paperpath("check", "--json", "mail.yaml", cwd=CONFIG / "bad" / "wrong-version")
    assert done.returncode == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["file"], problem["line"], problem["column"], problem["path"]) == ("mail.yaml", 1, 10, "version")


def test_compile_writes_what_the_golden_folder_holds(tmp_path):
    """A new folder, or one of an earlier compile, which is replaced as a whole."""
    out = tmp_path / "new" / "out"
    for name in ("virtual-domains", "full"):
        done = paperpath("compile", CONFIG / "golden" / name / "mail.yaml", "--out", out)
        assert (done.returncode, done.stderr) == (0, "")
        assert read(out) == read(CONFIG / "golden" / name / "expected")
    assert json.loads(paperpath("compile", FULL / "mail.yaml", "--out", out, "--json").stdout)["ok"] is True


@pytest.mark.parametrize(
    "foreign", ["readme", "mail/example.org/alice/Maildir/new/1", "users/include", "control/sub/me"]
)
def test_compile_never_mixes_with_anything_else(tmp_path, foreign):
    """A folder that holds mail, or whatever no compile wrote, is left alone."""
    (tmp_path / foreign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / foreign).write_text("precious")
    done = paperpath("compile", FULL / "mail.yaml", "--out", tmp_path)
    assert done.returncode == 2
    assert foreign in done.stderr
    assert read(tmp_path) == {foreign: b"precious"}


def test_compile_of_a_wrong_file_writes_nothing(tmp_path):
    """The mistakes, exit status 2, no folder."""
    done = paperpath("compile", CONFIG / "bad" / "alias-loop" / "mail.yaml", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "a loop" in done.stderr
    assert not (tmp_path / "out").exists()
