"""The image's software bill of materials: what is in it, in which version, under which licence, with which hash.

    python3 sbom.py ROOT WHEELS DEBIAN >sbom.cdx.json

ROOT is the image's root folder as rootfs.py assembles it: dpkg's status.d, the copyright files and the wheels' dist-info
tell the rest.  WHEELS is the folder of the wheels, DEBIAN what `apt-cache show` said of the Debian packages: both for
their SHA-256.  The format is CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/); the same image gives the same bytes.
"""

import hashlib
import json
import os
import re
import sys
import time
import uuid
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

_SHORT_NAME = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
PLACE = "usr/share/doc/paperpath/sbom.cdx.json"  # in the image
OURS = "paperpath"
Component = dict[str, Any]


def records(text: str) -> list[Message]:
    """The paragraphs of a Debian control file."""
    return [HeaderParser().parsestr(part) for part in re.split(r"\n\n+", text.strip()) if part]


def debian_hashes(text: str) -> dict[tuple[str, str], str]:
    """SHA-256 of each package and version that apt knows."""
    return {(each["Package"], each["Version"]): each["SHA256"] for each in records(text) if each["SHA256"]}


def wheel_hashes(folder: Path) -> dict[tuple[str, str], str]:
    """SHA-256 of each wheel by its name and version."""
    found = {}
    for path in folder.glob("*.whl"):
        name, version = path.name.split("-")[:2]
        found[plain(name), version] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def plain(name: str) -> str:
    """A Python project's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def component(name: str, version: str, purl: str, licences: list[Component], sha256: str | None) -> Component:
    """One of the parts; a hash that nobody knows is left out."""
    made: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licences:
        made["licenses"] = licences
    if sha256:
        made["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return made


def from_debian(root: Path, hashes: dict[tuple[str, str], str]) -> list[Component]:
    """What dpkg's status.d lists; licences by the short names of its copyright file if that has them (DEP-5)."""
    found = []
    for path in sorted((root / "var/lib/dpkg/status.d").iterdir()):
        if path.suffix == ".md5sums":
            continue
        (package,) = records(path.read_text())
        name, version = package["Package"], package["Version"]
        text = (root / "usr/share/doc" / name / "copyright").read_text(errors="replace")
        short = sorted(set(_SHORT_NAME.findall(text))) if text.startswith("Format:") else []
        names = short or [f"see /usr/share/doc/{name}/copyright"]
        purl = f"pkg:deb/debian/{name}@{version.replace(':', '%3A').replace('+', '%2B')}?arch={package['Architecture']}"
        licences = [{"license": {"name": each.strip()}} for each in names]
        found.append(component(name, version, purl, licences, hashes.get((name, version))))
    return found


def from_wheels(root: Path, hashes: dict[tuple[str, str], str]) -> list[Component]:
    """What pip installed, Paperpath's own package too; licences as its metadata names them."""
    found = []
    for path in sorted(root.glob("usr/local/lib/python3*/dist-packages/*.dist-info/METADATA")):
        about = HeaderParser().parsestr(path.read_text())
        name, version = plain(about["Name"]), about["Version"]
        if about["License-Expression"]:
            licences = [{"expression": about["License-Expression"]}]
        else:
            kinds = [each for each in about.get_all("Classifier", []) if each.startswith("License ::")]
            text = max(kinds, key=len).rpartition(" :: ")[2] if kinds else (about["License"] or "").split("\n")[0]
            licences = [{"license": {"name": text}}] if text else []
        found.append(component(name, version, f"pkg:pypi/{name}@{version}", licences, hashes.get((name, version))))
    return found


def bill(root: Path, wheels: Path, debian: str) -> str:
    """The whole document."""
    parts = from_debian(root, debian_hashes(debian)) + from_wheels(root, wheel_hashes(wheels))
    (own,) = [part for part in parts if part["name"] == OURS]
    parts.remove(own)
    own |= {"type": "application", "bom-ref": OURS}
    del own["purl"]  # no index has it
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(parts)).urn,
        "version": 1,
        "metadata": {"timestamp": when, "component": own},
        "components": parts,
        "dependencies": [{"ref": OURS, "dependsOn": sorted(part["bom-ref"] for part in parts)}],
    }
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(bill(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).read_text()))
