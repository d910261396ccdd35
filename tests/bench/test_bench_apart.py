"""Folders that lie apart: the flag is set where there is one, and nothing fails where there is none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench.apart import spread
from bench.machine import file_system


def test_a_folder_on_ext4_gets_the_flag_of_a_top(tmp_path):
    """What lsattr shows as T."""
    if file_system(tmp_path) != "ext4" or not shutil.which("lsattr"):
        pytest.skip("needs ext4 and lsattr")
    spread(tmp_path)
    assert (
        "T" in subprocess.run(["lsattr", "-d", tmp_path], capture_output=True, text=True, check=True).stdout.split()[0]
    )


def test_a_file_system_without_the_flag_is_left_alone():
    """/proc has no such flag, and that is no error."""
    spread(Path("/proc"))
