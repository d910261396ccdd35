"""Which addresses this machine has."""

import os
import shutil
import subprocess
import sys

import pytest

from appliance import interfaces

CODE = "from appliance import interfaces; print(*sorted(interfaces.addresses()))"
SEVERAL = "ip link set lo up && ip addr add 192.0.2.1/24 dev lo && ip addr add 192.0.2.2/24 dev lo && exec "


def test_loopback_is_ours() -> None:
    """Wherever this runs."""
    assert "127.0.0.1" in interfaces.addresses()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root, and ip (Debian package iproute2)")
def test_all_addresses_of_an_interface_are_ours() -> None:
    """Not only its first; qmail before notqmail 1.08 missed the others."""
    command = ["unshare", "--net", "sh", "-c", SEVERAL + f'"{sys.executable}" -c "{CODE}"']
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
    assert told.stdout.split() == ["127.0.0.1", "192.0.2.1", "192.0.2.2"]
