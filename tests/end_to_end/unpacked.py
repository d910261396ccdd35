"""Debian packages that can't be installed beside postfix, for each is a mail server: downloaded and unpacked."""

import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "build" / "unpacked"


def unpacked(package: str) -> Path:
    """The folder with the package's files; skips where apt can't get it."""
    folder = FOLDER / package
    if not folder.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        get = ["apt-get", "-o", "APT::Sandbox::User=root", "download", package]
        try:
            subprocess.run(get, check=True, capture_output=True, cwd=FOLDER, timeout=120)
            (archive,) = FOLDER.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", archive, folder], check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"the Debian package {package} can't be had: {error}")
    return folder
