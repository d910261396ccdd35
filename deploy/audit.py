"""`make audit`: known holes in what the image is made of.

    python3 audit.py SBOM BASE

Python packages are asked of the advisory services that pip-audit knows, the first that answers.  Debian's packages are
compared with those that Debian has now, by the base image's own apt: one with a newer version there is a fix not taken.
Exit status: 0 nothing is known, 1 something is, 3 nothing is known but not everything could be asked, which is said.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTHING, FOUND, NOT_ASKED = 0, 1, 3
SERVICES = ("pypi", "osv")
TIMEOUT = 120  # seconds for a service


def ask(service: str, pins: dict[str, str]) -> tuple[list[str], list[str]]:
    """What one service says of name -> version: the holes, and those it could not be asked about."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in pins.items())
        file.flush()
        command = [Path(sys.executable).with_name("pip-audit"), "--vulnerability-service", service, "--format", "json"]
        command += ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--requirement", file.name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
            told = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError, LookupError):
            return [], list(pins)
    return python_holes(told, pins)


def python_holes(told: list[dict[str, Any]], pins: dict[str, str]) -> tuple[list[str], list[str]]:
    """pip-audit's answer; who is skipped, or missing in it, was not asked about, whatever its exit status says."""
    holes = [
        f"{each['name']} {each['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for each in told
        for hole in each.get("vulns", [])
    ]
    asked = {each["name"] for each in told if "skip_reason" not in each}
    return holes, [name for name in pins if name not in asked]


def debian_holes(pins: dict[str, str], candidates: str) -> tuple[list[str], list[str]]:
    """Packages of which `apt-cache policy` has a newer version, and those it knows nothing of."""
    newest: dict[str, str] = {}
    name = ""
    for line in candidates.split("\n"):
        if line and not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:"):
            newest[name] = line.split(": ")[1].strip()
    holes = [
        f"{name} {version}: Debian has {newest[name]}"
        for name, version in pins.items()
        if newest.get(name, version) not in (version, "(none)")
    ]
    return holes, [name for name in pins if newest.get(name, "(none)") == "(none)"]


def candidates(base: str, names: list[str]) -> str:
    """What the base image's apt says after an update; nothing if it can't."""
    command = ["podman", "run", "--rm", base, "sh", "-c"]
    command += ['apt-get update --quiet --error-on=any >&2 && exec apt-cache policy "$@"', "sh", *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def pinned(sbom: dict[str, Any], kind: str) -> dict[str, str]:
    """Name -> version of the parts of a kind: deb or pypi."""
    return {part["name"]: part["version"] for part in sbom["components"] if part["purl"].startswith(f"pkg:{kind}/")}


def main(sbom: Path, base: str) -> int:
    document = json.loads(sbom.read_text())
    python, debian = pinned(document, "pypi"), pinned(document, "deb")
    holes, silent = [], list(python)
    for service in SERVICES:
        found, silent = ask(service, {name: python[name] for name in silent})
        holes += found
        if not silent:
            break
    older, unknown = debian_holes(debian, candidates(base, list(debian)))
    for hole in holes + older:
        print(hole)
    for what, count, left in (("Python", len(python), silent), ("Debian", len(debian), unknown)):
        print(f"{what} packages: {count - len(left)} of {count} asked about")
        if left:
            print(f"NOT ASKED, for nobody here can tell: {', '.join(left)}")
    return FOUND if holes or older else NOT_ASKED if silent or unknown else NOTHING


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
