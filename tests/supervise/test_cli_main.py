"""The command line: help, mistakes, exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import __version__
from appliance.cli.main import COMMANDS, nearest, page

PAPERPATH = Path(sys.executable).with_name("paperpath")


def paperpath(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PAPERPATH, *words], capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",)])
def test_help_is_a_page(words: tuple[str, ...]) -> None:
    """It names every command and how to begin, on stdout, with exit status 0."""
    done = paperpath(*words)
    assert (done.returncode, done.stdout, done.stderr) == (0, page(), "")
    for name, text in COMMANDS:
        assert f"    {name}" in done.stdout
        assert text in done.stdout


@pytest.mark.parametrize("name", ["run", "health", "version"])
def test_help_about_one_command(name: str) -> None:
    """`help COMMAND` and `COMMAND --help` are the same."""
    one, other = paperpath("help", name), paperpath(name, "--help")
    assert one.returncode == other.returncode == 0
    assert one.stdout == other.stdout
    assert f"paperpath {name}" in one.stdout


def test_no_command_is_a_mistake() -> None:
    """It gets the page on stderr, and exit status 2."""
    done = paperpath()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", page())


@pytest.mark.parametrize(
    ("typed", "meant"), [("qeue", "queue"), ("healt", "health"), ("chek", "check"), ("start", None), ("xyz", None)]
)
def test_an_unknown_command_gets_the_nearest_one(typed: str, meant: str | None) -> None:
    """A slip of the finger is answered with the right name; nonsense with none."""
    assert nearest(typed) == (f"; did you mean {meant!r}?" if meant else "")


def test_mistakes_on_the_command_line_have_exit_status_2() -> None:
    """Unknown commands and unknown options alike, with a hint at the help."""
    unknown = paperpath("qeue")
    assert unknown.returncode == 2
    assert "there is no command 'qeue'; did you mean 'queue'?" in unknown.stderr
    option = paperpath("health", "--nonsense")
    assert option.returncode == 2
    assert "paperpath health --help tells more" in option.stderr


def test_version_names_what_it_is_built_on() -> None:
    """One line each for people, one object for programs."""
    assert paperpath("--version").stdout.startswith(f"paperpath {__version__}\n")
    versions = json.loads(paperpath("version", "--json").stdout)
    assert versions["paperpath"] == __version__
    assert versions["supervisor"] == "4.3.0"
    assert "missing" not in versions.values()


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`paperpath version | head -1` prints no traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([PAPERPATH, "version"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.stderr == b""
