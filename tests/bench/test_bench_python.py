"""Paperpath may be measured on another Python than the one its command is installed for."""

import os
import platform
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench.cell import Ports, running
from bench.contestants import paperpath

ROOT = Path(__file__).parents[2]


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Another Python: this one, through a script that counts how often it is started."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(paperpath, "_COMMAND", Path(sys.executable).with_name("paperpath"))
    monkeypatch.setattr(paperpath, "PYTHON", None)
    script = tmp_path / "python"

    def write(options=""):
        script.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/starts\nexec {sys.executable} {options} "$@"\n')
        script.chmod(0o755)
        return script

    return write


def test_paperpath_runs_on_the_python_that_is_named(python, tmp_path):
    """It greets; the command was given to that Python, and takes the package from the working tree."""
    paperpath.use(python())
    with running(paperpath, tmp_path / "place", "maildir", Ports().take(), settle=0) as one:
        assert one.seen["start_seconds"] is not None
        assert one.start.environment == {"PYTHONPATH": os.getcwd()}
    assert (tmp_path / "starts").read_text().splitlines()[-1] == str(paperpath._COMMAND)


def test_the_version_is_that_of_the_python_that_runs(python):
    """The heading says it, for figures on one Python are not those on another."""
    paperpath.use(python())
    assert paperpath.version().endswith(f", Python {platform.python_version()}")
    assert paperpath.missing() is None


def test_a_python_without_the_wheels_is_said_to_lack_them(python):
    """It has no column then, but a line with the reason."""
    paperpath.use(python("-S"))
    assert paperpath.missing() == (
        f"{paperpath.PYTHON} lacks aiosmtpd, apsw, dnspython, jsonschema, PyYAML, supervisor, uvloop"
    )


def test_a_python_that_does_not_start_is_an_error(python, tmp_path):
    """Nothing is measured on the usual one instead."""
    with pytest.raises(FileNotFoundError):
        paperpath.use(tmp_path / "nothing")
    assert paperpath.PYTHON is None
